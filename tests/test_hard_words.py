"""What a person would lose: the thing, the reason and the way out. Every error of the project names all three."""

import ast
import re
from pathlib import Path

from conftest import ROOT

# What a person can do begins with one of these, behind the reason or in its place.
WAYS = (
    "add", "allow", "ask", "check", "choose", "delete", "drop", "fetch", "free", "give", "go on", "leave", "load",
    "make", "name", "open", "pip install", "push", "put", "run", "see", "send", "set", "start", "take", "train", "try",
    "unset", "update", "use", "wait", "`hf auth login`",
)  # fmt: skip
WAY = re.compile(rf"[:;,(]? ?\b({'|'.join(map(re.escape, WAYS[:-1]))})\b|{re.escape(WAYS[-1])}")
# Those that wrap a sentence of somebody else, who names the way: the Hub's failures by cause, and a thread's handed on.
HANDED_ON = ("{error}", "{why}", "{self._waiting[0].trouble}")


def errors() -> set[str]:
    """The names of all classes of errors that reach a person."""
    found = {"GanDemoError"}
    classes = [
        node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    ]
    for _ in classes:
        found |= {node.name for node in classes if found & {ast.unparse(base) for base in node.bases}}
    return found


def sources() -> list[Path]:
    return [ROOT / "app.py", ROOT / "train.py", *sorted((ROOT / "gan_demo").rglob("*.py"))]


def sentence(node: ast.expr) -> str | None:
    """The text of a message, with {expression} where a value comes; None where it is handed on from elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}" for part in node.values
        ]
        return "".join(map(str, parts))
    return None


def messages() -> dict[str, str]:
    """Each message by the place of its source."""
    names, found = errors(), {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names and node.args:
                text = sentence(node.args[0])
                if text is not None:
                    found[f"{path.relative_to(ROOT)}:{node.lineno}"] = text
    return found


def test_every_error_names_the_thing_the_reason_and_the_way_out():
    found = messages()
    assert len(found) > 100
    wrong = []
    for place, text in found.items():
        if any(part in text for part in HANDED_ON):
            continue
        reason, colon, way = re.sub(r"{[^{}]*}", "{}", text).rpartition(": ")
        parts = (reason, way) if colon else re.split(r"[;,(] ?(?=[^;,(]*$)", way, maxsplit=1)
        if "\n" in text or text.rstrip("\"'").endswith(".") or len(parts) < 2:
            wrong.append(f"{place}: not one sentence of a thing, a reason and a way out: {text}")
        elif not WAY.search(" " + way):
            wrong.append(f"{place}: no way out: {text}")
        elif "{" not in text and len(reason.split()) < 3:
            wrong.append(f"{place}: no thing is named: {text}")
    assert not wrong, "\n".join(wrong)
