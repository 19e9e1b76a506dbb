"""Words for chests and views, language by language, and what is more than a chest."""

from __future__ import annotations

import pytest

from cxr_edge.intake.terms import View, is_chest, is_other_part, side_view_only, view_of

CHESTS = {
    "English": "CHEST, THORAX, LUNGS, CHESTPA, CHESTAP, PA CHEST, CHEST_PORT, CHEST 1 VIEW, "
    "CHEST PA ERECT, PORTABLE CHEST, THORACIC STRUCTURE, XR CHEST, CHEST-2VIEWS, PEDIATRIC CHEST, "
    "CHEST 1V, CHEST AP 2V, CHEST NON GRID, NEWBORN CHEST, LUNG FIELDS, CHEST WALL BUCKY",
    "German": "THORAX, LUNGE, THORAX AP, THORAX A.P. LIEGEND, THORAX P.A. STEHEND, "
    "RÖNTGEN THORAX, BRUSTKORB, THORAX IM LIEGEN, THORAX BETT, THORAX SÄUGLING",
    "Spanish": "TÓRAX, TORAX PA, PECHO, TORAX DE PIE, RX DE TÓRAX, PULMÓN, TORAX PORTATIL, "
    "TÓRAX PEDIÁTRICO",
    "Portuguese": "TÓRAX, PEITO, TORAX AP, PULMÕES, RX TORAX LEITO, TÓRAX PA ORTOSTASE, "
    "RAIO-X DE TÓRAX, RAIO X TORAX PA",
    "French": "THORAX, POUMONS, THORAX DE FACE, POITRINE, THORAX DEBOUT, RADIO DU THORAX, "
    "GRIL PULMONAIRE",
    "Italian": "TORACE, TORACE AP, POLMONI, TORACE IN PIEDI, TORACE LETTO, TORACE BAMBINI",
    "Dutch": "THORAX, LONGEN, BORSTKAS, THORAX STAAND, THORAX OP BED, X-THORAX",
}


@pytest.mark.parametrize(
    "text", [text for texts in CHESTS.values() for text in texts.split(", ")], ids=str
)
def test_chest(text: str) -> None:
    assert is_chest(text)
    assert is_chest(text.lower())


MORE = (
    *("CHEST ABD", "THORAX ABD", "THORAX/HAND", "CHESTABDOMEN", "CHEST ABDOMEN", "CHESTABD"),
    *("THORAX\\\\ABDOMEN", "CHEST+PELVIS", "NECK CHEST", "TORAX Y ABDOMEN", "THORAX-HWS"),
    *("THORACIC SPINE", "TSPINE", "RIB", "RIBS", "STERNUM", "CHEST WALL RIBS", "TORAX PIE"),
    *("LUNG APEX", "HEMITHORAX", "ABDOMEN", "HAND", "BREAST", "WHOLE BODY", "BABYGRAM", "HEART"),
    *("?", "1", "CH", "CHES T", "X", "PA", "SUPINE", "BRUSTWIRBELSÄULE", "THORACOLUMBAR"),
    *("CHEST WALL", "CHESTWALL", "THORACIC WALL", "LONG LEG"),
)


@pytest.mark.parametrize("text", MORE)
def test_more_than_a_chest_or_none(text: str) -> None:
    assert not is_chest(text)


VIEWS = {
    View.AP: "AP, A-P, A.P., A/P, A P, ap, AP SUPINE, AP ERECT, AP PORTABLE, ANTERO-POSTERIOR, "
    "ANTEROPOSTERIOR, ANTERIOR-POSTERIOR, antero-posterior, ANTÉRO-POSTÉRIEUR, "
    "ANTERO-POSTERIORE, AP LIEGEND, SUPINE AP, AP DECUBITO SUPINO, CHEST AP, AP SEMI-ERECT, AP "
    "BED, ANT-POST, ANTEROPOST",
    View.PA: "PA, P-A, P.A., PA ERECT, PA STANDING, PA UPRIGHT, POSTERO-ANTERIOR, PA STEHEND, "
    "POSTEROANTERIOR, POSTERIOR-ANTERIOR, POSTÉRO-ANTÉRIEUR, PA DE PIE, THORAX PA, POST ANT",
    View.FRONTAL: "FRONTAL, FACE, DE FACE, DE FRENTE, FRONTALE, AP/PA",
    View.OTHER: "LATERAL, LAT, LL, RL, LLAT, LLD, RLD, AP LLD, AP LORDOTIC, PA OBLIQUE, LAO, "
    "RIGHT LATERAL, PERFIL, PROFIL, SEITLICH, LATERALE, OBLIQUA, DE LADO, CHESTLAT, AP AXIAL, "
    "LATERAL DECUBITUS, DECUBITO LATERAL, VD, AP OF WHAT, CROSS-TABLE LATERAL, SCHRÄG",
    View.UNKNOWN: "?, XYZ, 1, -, HAND, V, X",
}


@pytest.mark.parametrize(
    ("text", "view"), [(text, view) for view, texts in VIEWS.items() for text in texts.split(", ")]
)
def test_view(text: str, view: View) -> None:
    assert view_of(text) is view


@pytest.mark.parametrize("text", ["", "SUPINE", "ERECT", "CHEST"])
def test_nothing_said_of_a_view(text: str) -> None:
    assert view_of(text) is None


def test_free_texts_count_where_they_contradict() -> None:
    assert is_other_part("Knie links") and is_other_part("ABDOMEN SUPINE")
    assert is_other_part("Chest and abdomen") and is_other_part("long leg")
    assert not is_other_part("Chest, ribs") and not is_other_part("Routine, Dr. Hill")
    assert side_view_only("Thorax seitlich") and side_view_only("CHEST LAT")
    assert not side_view_only("Thorax p.a./lat") and not side_view_only("Chest, bedside")
