"""Words for chest films and their views as sites write them, in seven languages.

A text passes only where every word of it is known: `THORAX/HAND` is more than a chest. Accents,
case and punctuation do not count, and known words may be run together (`CHESTPA`).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from enum import StrEnum


class View(StrEnum):
    """Views that a text can name."""

    AP = "anterior-posterior"
    PA = "posterior-anterior"
    FRONTAL = "frontal"  # one of the two
    OTHER = "other"
    UNKNOWN = "unknown"  # words, but none that is known


def _words(**by_language: str) -> frozenset[str]:
    """One set of the words of all languages, as `_folded` writes them."""
    return frozenset(" ".join(by_language.values()).split())


# Ribs and sternum are exposed otherwise; CHESTABDOMEN is a whole infant.
_CHEST = _words(
    codes="CHEST THORAX TORAX LUNG LUNGS CXR THX CHST",
    english="THORACIC PULMONARY INTRATHORACIC",
    german="LUNGE LUNGEN BRUSTKORB THORAXAUFNAHME RONTGENTHORAX LUNGENAUFNAHME",
    spanish="PECHO PULMON PULMONES",
    portuguese="PEITO PULMAO PULMOES",
    french="POITRINE POUMON POUMONS THORACIQUE PULMONAIRE",
    italian="TORACE PETTO POLMONE POLMONI TORACICO",
    dutch="BORSTKAS LONG LONGEN",
)
_AP = _words(
    codes="AP",
    english="ANTEROPOSTERIOR ANTERIORPOSTERIOR ANTERIORTOPOSTERIOR ANTEROPOST ANTPOST",
    french="ANTEROPOSTERIEUR ANTEROPOSTERIEURE",
    italian="ANTEROPOSTERIORE",
    dutch="VOORACHTERWAARTS",
)
_PA = _words(
    codes="PA",
    english="POSTEROANTERIOR POSTERIORANTERIOR POSTERIORTOANTERIOR POSTEROANT POSTANT",
    french="POSTEROANTERIEUR POSTEROANTERIEURE",
    italian="POSTEROANTERIORE",
    dutch="ACHTERVOORWAARTS",
)
_FRONTAL = _words(
    english="FRONTAL",
    spanish="FRENTE",
    french="FACE",
    italian="FRONTALE",
    dutch="FRONTAAL",
)
_OTHER_VIEW = _words(
    codes="LAT LL RL LLAT RLAT LLD RLD LLDECUB RLDECUB LAO RAO LPO RPO OBL VD DV CC MLO",
    english="LATERAL LATERALS DECUBITUS DECUB OBLIQUE LORDOTIC AXIAL APICAL TANGENTIAL SAGITTAL "
    "CROSSTABLE SIDE LATEROMEDIAL MEDIOLATERAL CAUDOCRANIAL CRANIOCAUDAL SUBMENTOVERTICAL SWIMMERS",
    german="SEITLICH SEITE SEITENAUFNAHME SEITLICHE SCHRAG SCHRAEG LATERALAUFNAHME",
    spanish="PERFIL OBLICUA OBLICUO LORDOTICA LADO COSTADO",
    portuguese="OBLIQUA",
    french="PROFIL",
    italian="LATERALE LATEROLATERALE PROFILO OBLIQUO OBLIQUI",
    dutch="LATERAAL ZIJDELINGS DWARS SCHUIN",
)
# How the patient was placed, on what, and what else is said of an ordinary film.
_REMARKS = _words(
    english="SUPINE ERECT UPRIGHT STANDING SITTING SEMI SEMIERECT SEMIUPRIGHT PRONE PORT PORTABLE "
    "MOBILE BED BEDSIDE ICU ITU NICU PICU WARD STRETCHER TROLLEY TABLE WALL STAND BUCKY GRID "
    "NOGRID NONGRID NON NO INSP EXP INSPIRATION EXPIRATION VIEW VIEWS PROJECTION SINGLE ONE "
    "ROUTINE STANDARD STD DIGITAL XRAY RAY XR CR DX DR RX RAD RADIOGRAPH RADIOGRAPHY PLAIN FILM "
    "IMAGE PED PEDS PAED PEDIATRIC PAEDIATRIC CHILD CHILDREN INFANT BABY NEONATE "
    "NEONATAL NEWBORN ADULT LARGE SMALL MEDIUM AND OF "
    "THE IN WITH TO NOT STATED STRUCTURE REGION FIELD FIELDS CAVITY ENTIRE BOTH BILATERAL UNPAIRED "
    "WHEELCHAIR TRAUMA",
    german="STEHEND LIEGEND SITZEND STEHEN LIEGEN SITZEN BETT BETTAUFNAHME AUFNAHME KIND KINDER "
    "EINER EBENE STATIV TISCH RONTGEN ROENTGEN ROE RO UND IM MOBIL SAUGLING SAEUGLING",
    spanish="BIPEDESTACION SENTADO SENTADA SUPINO ACOSTADO PORTATIL RADIOGRAFIA PROYECCION DE "
    "DEL EL LA EN NINO NINOS LACTANTE PEDIATRICO PEDIATRICA INSPIRACION",
    portuguese="ORTOSTASE ORTOSTATICO ORTOSTATICA DEITADO LEITO RADIOGRAFIA INCIDENCIA DO DA EM "
    "SUPINA CRIANCA CRIANCAS LACTENTE INFANTIL RAIOX RAIO TELERADIOGRAFIA",
    french="DEBOUT COUCHE COUCHEE ASSIS ASSISE LIT RADIOGRAPHIE RADIO DU ENFANT NOURRISSON "
    "PEDIATRIQUE GRIL INCIDENCE",
    italian="SEDUTO SUPINA LETTO PROIEZIONE RADIOGRAFIA RX DEL ORTOSTATISMO CLINOSTATISMO BAMBINO "
    "BAMBINI NEONATO",
    dutch="STAAND LIGGEND ZITTEND OPNAME FOTO VAN EEN OP BED KINDEREN",
)
# On one film with a chest it is a whole infant.
_ABDOMEN = _words(
    english="ABDOMEN ABDOMINAL ABDO ABD KUB BABYGRAM PELVIS",
    german="BAUCH BECKEN",
    portuguese="ABDOME",
    italian="ADDOME",
    dutch="BUIK",
)
# Looked for in free texts, where unknown words mean nothing.
_OTHER_PART = _ABDOMEN | _words(
    english="HAND HANDS WRIST FINGER FINGERS THUMB ELBOW FOREARM HUMERUS SHOULDER CLAVICLE KNEE "
    "KNEES ANKLE FOOT FEET TOE TOES HEEL CALCANEUS LEG LEGS HIP HIPS FEMUR TIBIA FIBULA PATELLA "
    "SPINE CSPINE TSPINE LSPINE CERVICAL LUMBAR SACRUM COCCYX SCOLIOSIS SKULL NECK SINUS SINUSES "
    "NASAL ORBITS FACIAL ADENOIDS RIB RIBS STERNUM SCAPULA MANDIBLE DENTAL BREAST MAMMOGRAPHY "
    "PHANTOM",
    german="HUFTE HUEFTE KNIE FUSS BEIN OBERSCHENKEL UNTERSCHENKEL OBERARM UNTERARM HALS SCHULTER "
    "ELLBOGEN ELLENBOGEN HANDGELENK WIRBELSAULE WIRBELSAEULE LWS BWS HWS SCHADEL SCHAEDEL RIPPEN",
    spanish="RODILLA CADERA HOMBRO CODO MUNECA MANO PIERNA PIE COLUMNA CRANEO COSTILLAS TOBILLO",
    portuguese="JOELHO QUADRIL OMBRO COTOVELO PUNHO MAO PERNA COLUNA CRANIO COSTELAS TORNOZELO "
    "BACIA",
    french="GENOU HANCHE EPAULE COUDE POIGNET PIED JAMBE CRANE RACHIS CHEVILLE BASSIN COTES",
    italian="GINOCCHIO ANCA SPALLA GOMITO POLSO PIEDE GAMBA COLONNA CAVIGLIA BACINO COSTE",
    dutch="HEUP SCHOUDER ELLEBOOG ENKEL BEKKEN SCHEDEL VOET NEK",
)
_FRONTAL_VIEWS = {
    **dict.fromkeys(_AP, View.AP),
    **dict.fromkeys(_PA, View.PA),
    **dict.fromkeys(_FRONTAL, View.FRONTAL),
}
_HARMLESS = frozenset(_FRONTAL_VIEWS) | _REMARKS
_KNOWN = _CHEST | _OTHER_VIEW | _HARMLESS
# Parts of words run together; shorter ones make a word of anything.
_JOINED = frozenset(word for word in _KNOWN if len(word) > 2) | {"AP", "PA", "LL", "RL"}
_LONGEST = 64
# Said in two words or more, which by themselves say something else.
_PHRASES = {
    r"\bA ?P\b": "AP",
    r"\bP ?A\b": "PA",
    r"\b(ANTERO|ANTERIOR) (TO )?(POSTERI)": r"ANTERO\3",
    r"\b(POSTERO|POSTERIOR) (TO )?(ANTERI)": r"POSTERO\3",
    r"\bDECUBITO (SUPINO|DORSAL|PRONO)\b": "SUPINO",
    r"\bDECUBITUS DORSAL\b": "SUPINE",
    r"\bDE PIE\b|\bIN PIEDI\b": "STANDING",  # and else a foot
    r"\bX RAY\b": "XRAY",
    r"\bX (?=THORAX\b)": "",
    r"(?<=\w )V\b": "VIEW",
    r"\bRAIO X\b": "RAIOX",
    r"\bANT(?:ERO)? POST\b": "ANTPOST",
    r"\bPOST(?:ERO)? ANT\b": "POSTANT",
    # Exposed as ribs are, but for a stand at a wall.
    r"\b(CHEST|THORACIC) ?WALL\b(?! STAND| BUCKY)": "RIBS",
    r"\bRONTGEN THORAX\b": "THORAX",
}


def is_chest(text: str) -> bool:
    """Whether a body part is a chest and nothing else; a view or a remark may stand beside it."""
    words = _parsed(text)
    return bool(words & _CHEST) and words <= _KNOWN


def is_other_part(text: str) -> bool:
    """Whether a free text names other parts of the body and no chest, or one with an abdomen."""
    words = _parsed(text)
    chest = words & _CHEST - {"LONG"}  # Dutch; and of bones, legs and spines
    return bool(words & _ABDOMEN) or (bool(words & _OTHER_PART) and not chest)


def view_of(text: str) -> View | None:
    """The view that a text names; None for one that is empty, or says of no view.

    A word that is not known makes a view of its own of it: `AP LLD` lies on its side.
    """
    words = _parsed(text)
    named = {_FRONTAL_VIEWS[word] for word in words if word in _FRONTAL_VIEWS}
    if words & _OTHER_VIEW:
        return View.OTHER
    if words - _KNOWN or (not words and text.strip()):
        return View.OTHER if named else View.UNKNOWN
    exact = named - {View.FRONTAL} or named
    return exact.pop() if len(exact) == 1 else View.FRONTAL if exact else None


def side_view_only(text: str) -> bool:
    """Whether a free text names another view than a frontal one, and no frontal one."""
    words = _parsed(text)
    return bool(words & _OTHER_VIEW) and not words & frozenset(_FRONTAL_VIEWS)


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> frozenset[str]:
    """The words of a text, those run together taken apart where all of their parts are known."""
    folded = _folded(text[:_LONGEST])
    for phrase, words in _PHRASES.items():
        folded = re.sub(phrase, words, folded)
    return frozenset(part for word in folded.split() for part in _apart(word))


def _folded(text: str) -> str:
    """Upper case without accents; a space for whatever is no letter."""
    plain = unicodedata.normalize("NFKD", text.upper())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[^\W\d_]+", plain))


@functools.lru_cache(maxsize=4096)
def _apart(word: str) -> tuple[str, ...]:
    """The known words that one is made of, or the word itself."""
    if word in _KNOWN or word in _OTHER_PART:
        return (word,)
    for length in range(len(word) - 2, 1, -1):
        if word[:length] in _JOINED:
            rest = _apart(word[length:])
            if set(rest) <= _JOINED:
                return (word[:length], *rest)
    return (word,)
