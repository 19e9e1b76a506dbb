"""The examples for hospital IT: systemd and cron accept them, and so does `cxr-edge score`."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.cli.commands import cli
from cxr_edge.decoders import seccomp
from tests.factories import names_in

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SERVICE = EXAMPLES / "cxr-edge.service"
FAILED = EXAMPLES / "cxr-edge-failed@.service"
RECEIVE = EXAMPLES / "cxr-edge-receive.service"
TIMER = EXAMPLES / "cxr-edge.timer"
CONFIG = EXAMPLES / "cxr-edge.toml"
CONFIG_INSTALLED = "/etc/cxr-edge.toml"
INSTALLED = "/opt/cxr-edge/bin/cxr-edge"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze"
)


def unit(path: Path) -> configparser.ConfigParser:
    """A unit in which no key is given twice, but for the timer's hours, and none is misspelt."""
    parser = configparser.ConfigParser(interpolation=None, strict=path != TIMER)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="ascii"))
    return parser


def service() -> configparser.SectionProxy:
    return unit(SERVICE)["Service"]


def cron_lines() -> list[str]:
    """Those that are neither comments nor variables."""
    lines = (EXAMPLES / "crontab").read_text(encoding="ascii").splitlines()
    return [line for line in lines if not re.match(r"\s*(#|$|\w+\s*=)", line)]


def cron_fields(line: str) -> tuple[list[str], str]:
    *times, command = line.split(maxsplit=5)
    return times, command


def systemd_command() -> str:
    """ExecStart; a percent sign would be a specifier."""
    command = service()["ExecStart"]
    assert "%" not in command
    return command


def cron_command() -> str:
    """The command as far as the shell's next operator."""
    (line,) = cron_lines()
    return re.split(r"&&|\|\|", cron_fields(line)[1])[1].strip()


COMMANDS = {"systemd": systemd_command, "cron": cron_command}


def scored_with(command: str) -> dict[str, Any]:
    """What `score` understands; raises what it would say to an option that it does not have."""
    return understood(command, "score")


def understood(command: str, name: str) -> dict[str, Any]:
    """The same of any command; the config is the example."""
    words = shlex.split(command.replace(CONFIG_INSTALLED, str(CONFIG)))
    program = words.index(INSTALLED)
    assert words[program + 1] == name
    asked = cli.commands[name]
    return asked.make_context(name, words[program + 2 :], **cli.context_settings).params


@pytest.mark.parametrize("name", COMMANDS)
def test_score_understands_the_command(name: str) -> None:
    options = scored_with(COMMANDS[name]())
    assert options["inputs"] == ("/srv/xray/incoming",)
    assert options["state"] == Path("/var/lib/cxr-edge/state")
    assert (options["settle"], options["quiet"]) == (120, True)
    assert options["out"] is None, "a report is never overwritten: the default is a new folder"


def test_both_run_the_same() -> None:
    assert scored_with(systemd_command()) == scored_with(cron_command())


def test_what_a_site_may_switch_on_is_understood(tmp_path: Path) -> None:
    """Lines of the config, the service and the crontab that are comments."""
    text = CONFIG.read_text(encoding="ascii")
    switched_on = tmp_path / "cxr-edge.toml"
    switched_on.write_text(re.sub(r"^#(?=[a-z-]+ = )", "", text, flags=re.MULTILINE))
    options = understood(f"{INSTALLED} score --config {switched_on}", "score")
    assert (options["at_least"], len(options["exclude"])) == (20, 3)
    assert options["metrics"].suffix == ".prom"
    places = [EXAMPLES / "crontab", SERVICE]
    lines = [re.findall(rf"^#.*({INSTALLED} prune \S+ \S+)", p.read_text(), re.M) for p in places]
    assert [understood(line, "prune")["age"] for (line,) in lines] == ["90d", "90d"]


def test_systemd_puts_state_and_reports_where_they_may_be_written() -> None:
    values = service()
    assert values["StateDirectory"] == "cxr-edge"
    assert values["WorkingDirectory"] == "%S/cxr-edge"
    assert (values["StateDirectoryMode"], values["UMask"]) == ("0700", "0077")


def test_systemd_stops_the_main_process_gently() -> None:
    """Stopped is no failure; killed goes on; an exit code stands; a lost decoder is one film."""
    values = service()
    assert (values["Type"], values["KillMode"]) == ("oneshot", "mixed")
    assert values["TimeoutStopSec"] == "10min"
    assert (values["Restart"], values["SuccessExitStatus"]) == ("on-abnormal", "143")
    assert values["OOMPolicy"] == "continue"


@pytest.mark.parametrize("path", [SERVICE, FAILED, RECEIVE, TIMER], ids=lambda path: path.name)
def test_units_have_the_sections_of_their_kind(path: Path) -> None:
    kinds = {TIMER: ["Unit", "Timer", "Install"], RECEIVE: ["Unit", "Service", "Install"]}
    assert unit(path).sections() == kinds.get(path, ["Unit", "Service"])


def test_a_night_that_failed_starts_the_unit_that_says_so() -> None:
    assert unit(SERVICE)["Unit"]["OnFailure"] == FAILED.name.replace("@", "@%n")


def test_the_unit_says_which_night_failed_and_how() -> None:
    command = unit(FAILED)["Service"]["ExecStart"]
    for name, value in {"%i": "cxr-edge.service", "${MONITOR_EXIT_STATUS}": "3"}.items():
        command = command.replace(name, value)
    made = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    assert made.stdout == (
        "<3>cxr-edge.service has failed with exit code 3: journalctl -u cxr-edge.service says why\n"
    )


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="no systemd-tmpfiles")
def test_systemd_deletes_old_reports(tmp_path: Path) -> None:
    """By the time they were written, whoever has read them since; link and page stay."""
    reports = tmp_path / "var/lib/cxr-edge/reports"
    for name, days in {"old": 91, "young": 89}.items():
        (reports / name).mkdir(parents=True)
        (reports / name / "run.json").touch()
        for path in (reports / name / "run.json", reports / name):
            os.utime(path, (time.time(), time.time() - 86400 * days))
    (reports / "latest").symlink_to("young")
    (reports / "index.html").touch()
    for path in (reports / "latest", reports / "index.html"):
        os.utime(path, (0, 0), follow_symlinks=False)
    clean = ["systemd-tmpfiles", "--clean", f"--root={tmp_path}", str(EXAMPLES / "tmpfiles.conf")]
    made = subprocess.run(clean, capture_output=True, text=True, timeout=60)
    assert (made.returncode, made.stderr) == (0, "")
    assert names_in(reports) == ["index.html", "latest", "young"]
    assert names_in(reports / "young") == ["run.json"]


@needs_systemd
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in (SERVICE, RECEIVE):
        text = path.read_text(encoding="ascii").replace(INSTALLED, sys.executable)
        (tmp_path / path.name).write_text(text)
    shutil.copy(TIMER, tmp_path)
    shutil.copy(FAILED, tmp_path / FAILED.name.replace("@", "@cxr-edge"))
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    verify = ["systemd-analyze", "verify", "--man=no", *units]
    made = subprocess.run(verify, capture_output=True, text=True, timeout=60)
    # It ends with 0 after a warning as well, and may warn of the machine's own units.
    said = [line for line in made.stderr.splitlines() if "cxr-edge" in line]
    assert (said, made.returncode) == ([], 0)


def system_calls(names: Iterable[str]) -> set[str]:
    """The calls that systemd's own groups of them stand for."""
    found: set[str] = set()
    for name in names:
        if name.startswith("@"):
            show = ["systemd-analyze", "syscall-filter", "--no-pager", name]
            lines = subprocess.run(show, capture_output=True, text=True, check=True, timeout=60)
            inside = (line.strip() for line in lines.stdout.splitlines()[1:])
            found |= system_calls(each for each in inside if each and not each.startswith("#"))
        else:
            found.add(name)
    return found


def test_the_receiver_and_its_run_are_understood() -> None:
    command = unit(RECEIVE)["Service"]["ExecStart"]
    options = understood(command, "receive")
    assert options["bind"] == "127.0.0.1:11112", "no network before a site says which"
    assert options["senders"] == ("PACS@127.0.0.1",)
    folder = unit(RECEIVE)["Service"]["StateDirectory"]
    assert options["spool"] == Path("/var/lib") / folder / "spool"
    run = understood(options["command"] + " films", "score")
    assert (run["state"], run["quiet"]) == (Path("/var/lib") / folder / "state", True)


def test_the_receiver_is_stopped_gently_and_started_again() -> None:
    values = unit(RECEIVE)["Service"]
    assert (values["KillMode"], values["Restart"], values["SuccessExitStatus"]) == (
        *("mixed", "always"),
        "143",
    )
    calls = unit(SERVICE)["Service"]["SystemCallFilter"]
    assert values["SystemCallFilter"] == calls, "its runs put decoders into the same prison"


@needs_systemd
def test_systemd_allows_what_makes_and_needs_the_prison() -> None:
    """The kernel puts filters on top of each other: a call has to pass them all."""
    landlock = {f"landlock_{each}" for each in ("create_ruleset", "add_rule", "restrict_self")}
    making = landlock | {"prctl", "close_range", "prlimit64", "memfd_create", "openat2", "fcntl"}
    (_, *rules) = seccomp._rules()
    limited = {name for names, _ in rules for name in names} - {*seccomp._FATAL, *seccomp._UNKNOWN}
    allowed = system_calls(service()["SystemCallFilter"].split())
    assert (making | limited | set(seccomp._FREE)) - allowed == set()


@needs_systemd
@pytest.mark.parametrize(("path", "most"), [(SERVICE, 15), (RECEIVE, 25)])
def test_systemd_finds_little_exposed(path: Path, most: int) -> None:
    """Tenths of a point of 10, lower is better: https://www.freedesktop.org/software/systemd."""
    security = ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", str(path)]
    made = subprocess.run(security, capture_output=True, text=True, timeout=60)
    if "unrecognized option" in made.stderr:
        pytest.skip("systemd before 250")
    assert made.returncode == 0, made.stdout


# crontab(5)
RANGES = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of month": (1, 31),
    "month": (1, 12),
    "day of week": (0, 7),
}


def in_range(field: str, low: int, high: int) -> bool:
    """`*`, numbers, ranges and lists of them, with a step or without."""
    parts = [re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/[1-9]\d*)?", p) for p in field.split(",")]
    return all(
        part and all(low <= int(number) <= high for number in part.groups() if number)
        for part in parts
    )


@pytest.mark.parametrize("line", cron_lines(), ids=lambda line: line.split(" *")[0])
def test_cron_accepts_the_line(line: str) -> None:
    times, command = cron_fields(line)
    for field, name in zip(times, RANGES, strict=True):
        assert in_range(field, *RANGES[name]), name
    assert command.startswith("cd /var/lib/cxr-edge && "), "reports go below the current folder"
    assert not re.search(r"(?<!\\)%", command), "an unescaped % ends a cron command"


@pytest.mark.parametrize("field", ["60", "a", "1-", "*/0", "", "1,,2", "5-61"])
def test_a_field_that_cron_refuses(field: str) -> None:
    assert not in_range(field, *RANGES["minute"])


def test_cron_reads_the_file_to_its_end() -> None:
    """It ignores a last line that no line feed ends."""
    assert (EXAMPLES / "crontab").read_bytes().endswith(b"\n")


def test_cron_mails_an_exit_code_that_has_nothing_to_say(tmp_path: Path) -> None:
    """A run that was killed is silent; one that went well is silent too."""
    (line,) = cron_lines()
    for code, said in ((0, ""), (3, "cxr-edge: exit code 3\n"), (137, "cxr-edge: exit code 137\n")):
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)
        command = cron_fields(line)[1].replace(INSTALLED, shlex.quote(str(program)))
        command = command.replace("cd /var/lib/cxr-edge", f"cd {shlex.quote(str(tmp_path))}")
        made = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True)
        assert (made.stdout, made.stderr) == (said, "")


def test_the_manual_explains_every_exit_code() -> None:
    page = (EXAMPLES.parent / "docs/exit-codes.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "75", "129, 130, 143"]


def test_the_page_names_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)]+)\)", page))
    folders = set(
        re.findall(r"^\| `([^`/]+)/`", page, flags=re.MULTILINE)
    )  # the site links no folder
    assert {path.name for path in EXAMPLES.iterdir()} - {"README.md"} <= links | folders
