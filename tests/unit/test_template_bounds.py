"""A report template from a file reaches nothing but its fields, and ends in time, whatever it asks for."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from voxtune.errors import DataError, UsageError
from voxtune.reports import template_process
from voxtune.reports.template_process import FATAL, Renderer
from voxtune.reports.wording import load_template, write_report
from voxtune.types.records import ManifestRow

ROW = ManifestRow(
    participant_id="p", scan_id="s", image="s.nii", diagnosis="AD", age=70.5, sex="F", hippocampus_mm3=7000
)
REACHING = {
    "attribute": "{{ age.__class__ }}",
    "string of a class": "{{ ''.__class__.__mro__ }}",
    "item": "{{ label['x'] }}",
    "attr filter": "{{ age|attr('real') }}",
    "map filter": "{{ [age]|map('upper') }}",
    "format": "{{ '%999999999d'|format(1) }}",
    "percent": "{{ '%999999999d' % 1 }}",
    "format of a field": "{{ label|format(1) }}",
    "width from elsewhere": "{{ '%*d'|format(900000000, 1) }}",
    "precision": "{{ '%.999999999f'|format(1) }}",
    "name in a pattern": "{{ '%(x)s'|format(x=1) }}",
    "percent after a field": "{{ label % 1 }}",
    "power": "{{ 9**9**9**9 }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'x' as y %}",
    "extends": "{% extends 'x' %}",
    "macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursive loop": "{% for x in (1,) recursive %}{{ loop((1,)) }}{% endfor %}",
    "loop over a value": "{% for x in label %}{{ x }}{% endfor %}",
    "loops in loops": "{% for a in (1,) %}{% for b in (1,) %}{% for c in (1,) %}x{% endfor %}{% endfor %}{% endfor %}",
    "range": "{% for x in range(10**9) %}x{% endfor %}",
    "call of a value": "{{ label() }}",
    "self": "{{ self.x() }}",
    "centred": "{{ label|center(10000000000) }}",
    "spread": "{{ listed(*label) }}",
    "filter block": "{% filter upper %}x{% endfilter %}",
    "tuple target": "{% set a, b = 1, 2 %}",
}
ENDLESS = {
    "output": "{{ 'x' * 30000 }}",
    "memory": "{{ 'x' * 10000000000 }}",
    "product": "{% set a = 'x' * 1000000 %}{% set b = a|replace('x', a) %}{{ b }}",
    "digits": "{{ 1" + "0" * 5000 + " }}",
}


def template(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", REACHING)
def test_nothing_but_fields_is_reached(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"Report template 'mine\.txt', line 1.*may not hold"):
        load_template(template(tmp_path, REACHING[name]))


@pytest.mark.parametrize("name", ENDLESS)
def test_it_ends_in_time_and_within_its_memory(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"more (time or memory|than)|limit"):
        write_report(ROW, template(tmp_path, ENDLESS[name]))


def test_nesting_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nested too deeply|more parts than|more time or memory"):
        load_template(template(tmp_path, "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}"))


def test_what_a_report_needs_is_there(tmp_path: Path) -> None:
    text = (
        "{% if label %}A photo of {{ label }}.{% endif %} {% for word in ('a', 'b') %}{{ word|upper }}{% endfor %} "
        "{{ (hippocampus_mm3 / 1000)|round(2) }} {{ listed(('Age', age, 'years', 1),) }} {{ sex|default('unknown')|lower }}"
    )
    loaded = load_template(template(tmp_path, text))
    assert write_report(ROW, loaded).text == "A photo of AD. AB 7.0 Age: 70.5 years f"
    again = ROW.model_copy(update={"scan_id": "t", "age": 71.0})
    assert "Age: 71.0 years" in write_report(again, loaded).text


def test_numbers_are_written_by_plain_patterns(tmp_path: Path) -> None:
    text = (
        "{{ '%.1f'|format(hippocampus_mm3) }} {{ '%05.1f mm' % age }} {{ ('%d' if sex == 'F' else '%.3f')|format(age) }} "
        "{{ '%s, %d%%'|format(sex, 12) }}"
    )
    assert write_report(ROW, load_template(template(tmp_path, text))).text == "7000.0 070.5 mm 70 F, 12%"


def test_a_process_that_is_killed_is_started_again_for_the_next_scan(tmp_path: Path) -> None:
    renderer = Renderer("mine", "{{ age }}")
    assert renderer._process is not None
    renderer._process.kill()
    with pytest.raises(UsageError, match="more time or memory"):
        renderer.render({"age": 1}, "s", "omit")
    assert renderer.render({"age": 1}, "s", "omit") == "1"


def test_a_process_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer("mine", "{{ age }}")
    monkeypatch.setattr(template_process, "WAIT_SECONDS", 0.0)
    process = renderer._process
    assert process is not None
    with pytest.raises(UsageError, match="more time or memory"):
        renderer.render({"age": 1}, "s", "omit")
    assert process.poll() is not None


# ------------------------------------------------------------------------------ what runs inside the process
def inside(monkeypatch: pytest.MonkeyPatch, *messages: dict[str, object]) -> list[dict[str, object]]:
    """What the process answers to these lines, run here with its limits only written down."""
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX")
    limits: list[int] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, _: limits.append(which))
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(one) + "\n" for one in messages)))
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    template_process.main()
    monkeypatch.undo()
    assert {resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_CPU} <= set(
        limits
    )
    return [json.loads(line) for line in out.getvalue().splitlines()]


def scan(**values: object) -> dict[str, object]:
    return {"values": values, "scan_id": "s", "missing": "omit"}


def test_the_process_answers_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{{ label }}: {{ listed(('Age', age, 'years', 0),) }}"
    started, *said = inside(
        monkeypatch,
        {"name": "mine", "text": text},
        scan(label="AD", age=70.4),
        scan(label="AD", age="old"),
        scan(age=1),
    )
    assert started == {}
    assert said[0] == {"text": "AD: Age: 70 years"}
    assert said[1] == {"data": "Scan 's': 'Age' should be a number, got 'old'."}
    assert "'label' is undefined" in str(said[2]["error"])


def test_the_process_says_what_does_not_compile_or_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    [said] = inside(monkeypatch, {"name": "mine", "text": "{% if %}"})
    assert "error" in said
    _, said = inside(monkeypatch, {"name": "mine", "text": "{{ 'x' * 30000 }}"}, scan())
    assert said == {"error": "it writes more than 20000 characters"}
    assert template_process._words(MemoryError()) == template_process._words(RecursionError("deep")) == FATAL
    assert template_process._words(ValueError()) == "ValueError"


def test_a_value_that_is_no_number_is_an_error_of_the_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'Age' should be a number, got 'F'"):
        write_report(ROW, template(tmp_path, "{{ listed(('Age', sex, 'years', 0),) }}"))


def test_a_template_that_fails_is_named_with_its_scan(tmp_path: Path) -> None:
    def fails(*_: object) -> str:
        raise TypeError("no such thing")

    loaded = replace(load_template(template(tmp_path, "{{ age }}")), render=fails)
    with pytest.raises(UsageError, match=r"scan 's': no such thing"):
        write_report(ROW, loaded)


def test_a_process_whose_template_does_not_compile_is_refused() -> None:
    with pytest.raises(UsageError, match="Report template 'mine': "):
        Renderer("mine", "{% if %}")
