"""How JSON reaches a command, and what is said where it is none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from pgflow_django.cli.inputs import point_at, read_argument
from pgflow_django.exceptions import InvalidInput
from tests.commands.calling import call


def read(value: Any) -> Any:
    return read_argument(value, "--input", print)


def refusal(value: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(value)
    return str(caught.value)


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="latin-1"))


@pytest.mark.parametrize("text", ["null", "false", "0", '""', "[]", "{}", '{"ü": [1.5, "😀"]}'])
def test_any_json_is_taken(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = read(text)
    path = tmp_path / "input.json"
    path.write_text(text, encoding="utf-8")
    assert read(f"@{path}") == value
    feed(monkeypatch, text.encode())
    assert read("-") == value


def test_the_mark_of_windows_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read(f"@{path}") == {"a": 1}


def test_an_integer_of_too_many_digits_is_shown_where_it_is() -> None:
    told = refusal('{"a": 1,\n "n": ' + "1" * 5_001 + "}")
    assert "line 2, column 7: this is an integer of too many digits; use text\n" in told
    assert "set_int_max_str_digits" not in told
    assert read("0." + "1" * 5_001) == pytest.approx(1 / 9)


def test_a_file_needs_a_name() -> None:
    assert refusal("@") == "--input @ needs the name of a file: --input @input.json"
    for name in ("simulateflow", "importflow", "checkflow"):
        answer = call(name, "")
        assert answer.status == 2
        assert "needs the name of a file." in answer.stderr
        assert "@" not in answer.stderr


def test_what_is_no_text_passes_as_it_is() -> None:
    assert read({"a": 1}) == {"a": 1}


def test_malformed_json_is_shown_with_line_column_and_a_caret() -> None:
    assert refusal('{\n  "a": 1\n  "b": 2\n}') == (
        "--input is not valid JSON: line 3, column 3: Expecting ',' delimiter\n"
        '      "b": 2\n'
        "      ^"
    )


def test_a_key_that_stands_twice_is_shown_where_it_does() -> None:
    assert refusal('{\n  "a": 1,\n  "a": 2\n}') == (
        '--input is not valid JSON: line 3, column 3: this object has the key "a" already\n'
        '      "a": 2\n'
        "      ^"
    )
    assert read('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]


def test_malformed_files_and_streams_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "input.json"
    path.write_text('{"a": 1,}')
    assert refusal(f"@{path}").startswith(f"--input @{path} is not valid JSON: line 1, column ")
    feed(monkeypatch, b"[1, 2")
    assert refusal("-").startswith(
        "--input (standard input) is not valid JSON: line 1, column 6: Expecting ',' delimiter"
    )


@pytest.mark.parametrize("text", ["", "  \n "])
def test_nothing_is_not_json(text: str) -> None:
    assert refusal(text) == "--input is empty, which is not JSON; the empty object is {}."


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal("@nowhere.json") == '--input: there is no file "nowhere.json".'
    assert refusal(f"@{tmp_path}") == f'--input: "{tmp_path}" is a folder.'
    assert refusal("@").startswith("--input @ needs the name of a file")
    assert refusal("@a\0b").startswith('--input: can\'t read "a\0b": ')


def test_what_is_not_utf8_is_shown_with_line_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes('{\n "name": "José"}'.encode("latin-1"))
    assert refusal(f"@{path}") == (
        f'The file "{path}" is not UTF-8: byte 0xe9 at line 2, column 14.'
    )
    feed(monkeypatch, b'"\xff"')
    assert refusal("-") == "Standard input is not UTF-8: byte 0xff at line 1, column 2."
    assert refusal('"\udce9"') == "--input is not UTF-8: byte 0xe9 at line 1, column 2."
    assert refusal('"\ud800"') == "--input is not UTF-8."


def test_what_the_shell_did_is_guessed() -> None:
    assert """JSON texts stand in double quotes: --input '{"key": "value"}'""" in refusal("{a: 1}")
    assert "JSON texts stand in double quotes" in refusal("{'a': 1}")
    assert "put @ before its name: --input @data/in.json" in refusal("data/in.json")


def test_extremes_are_refused() -> None:
    assert refusal("[" * 100_000) == "--input is nested too deeply."
    assert refusal("9" * 5_000).startswith(
        "--input is not valid JSON: line 1, column 1: this is an integer of too many digits"
    )


def test_the_caret_points_into_a_long_line() -> None:
    text = '{"filler": "' + "x" * 500 + '", oops, "more": "' + "y" * 500 + '"}'
    position = text.index("oops")
    line, caret = point_at(text, position).splitlines()
    assert len(line) < 90
    assert line.strip().startswith("…")
    assert line.endswith("…")
    assert line[caret.index("^") :].startswith("oops")


def test_the_caret_counts_wide_letters_and_tabs() -> None:
    assert point_at('\t"日本" x', 6).splitlines() == ['     "日本" x', " " * 12 + "^"]
    assert point_at("\x1b[31mred x", 9).splitlines()[0] == "    �[31mred x"
