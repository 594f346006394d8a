"""A double of the Hub's protocol on loopback, for what no package serves: pushes, and a Hub that is not well.

It keeps repositories in memory (commits of files, tags), notes every request, and does as it is told: `hub.answer(503,
"commit")` refuses, `hub.stall("commit")` says nothing, `hub.drop("lfs")` hangs up half-way. The rules go for requests
whose path contains the word; `hub.recover()` ends them. Reads are checked against olah, which nobody here wrote.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from waiting import wait_until  # noqa: F401 (test_page_hub takes it from here)

from gan_demo import card, hub, wire
from gan_demo.run import Run

os.environ["HF_HUB_DISABLE_XET"] = "1"  # a protocol of its own, which only the Hub speaks
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "checkpoints" / "dcgan-mnist"
SECRET = "what nobody may see"
TOKEN = "hf_double"
LFS = (".safetensors",)
PATIENCE = 5  # seconds


@dataclass
class Commit:
    id: str
    title: str
    files: dict[str, bytes]
    changed: list[str]


@dataclass
class Repo:
    private: bool
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, title: str, changes: dict[str, bytes], deleted: set[str] = frozenset()) -> Commit:
        before = self.commits[-1].files if self.commits else {}
        files = {**before, **changes}
        for name in deleted:
            del files[name]
        text = f"{title}{len(self.commits)}" + "".join(f"{k}{_sha1(v)}" for k, v in sorted(files.items()))
        changed = [*deleted, *(name for name, data in changes.items() if before.get(name) != data)]
        self.commits.append(Commit(_sha1(text.encode()), title, files, sorted(changed)))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        wanted = self.commits[-1].id if revision == "main" else self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.id == wanted), None)


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def blob_id(data: bytes) -> str:
    return _sha1(b"blob %d\0" % len(data) + data)


class HubDouble:
    """The server; use as a context manager. `url` is its endpoint, `requests` what it was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # LFS, by sha256
        self.requests: list[tuple[str, str, bool]] = []  # method, path, whether a token came along
        self.rules: dict[str, tuple[str, int, dict[str, str]]] = {}
        self.lock = threading.RLock()
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "HubDouble":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, status: int, where: str = "", **headers: str) -> None:
        """From now on, answer requests whose path contains `where` with that status."""
        self.rules[where] = ("answer", status, headers)

    def stall(self, where: str = "") -> None:
        """From now on, take such requests and say nothing."""
        self.rules[where] = ("stall", 0, {})

    def drop(self, where: str = "") -> None:
        """From now on, hang up in the middle of such requests."""
        self.rules[where] = ("drop", 0, {})

    def recover(self) -> None:
        self.rules.clear()

    def add(self, name: str, files: dict[str, bytes], private: bool = False) -> Commit:
        """Put files into a repository, as some stranger's push would."""
        return self.repos.setdefault(name, Repo(private)).commit("by hand", files)

    def asked(self, word: str, method: str = "") -> int:
        return sum(word in path and method in ("", verb) for verb, path, _ in list(self.requests))

    @contextmanager
    def counting(self):
        """A list that holds, afterwards, the requests that came within."""
        before, seen = len(self.requests), []
        yield seen
        seen.extend(self.requests[before:])


# ---------------------------------------------------------------- what its tests share


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """No test reads or leaves anything in the person's own cache, sends their token, or waits for long."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    def nap(seconds: float) -> None:
        time.sleep(min(seconds, 0.05))

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(_http, "time", SimpleNamespace(**{**vars(time), "sleep": nap}))  # 23 s between six tries
    for name in ("READ_SECONDS", "WRITE_SECONDS"):
        monkeypatch.setattr(wire, name, PATIENCE)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return tmp_path / "cache"


@contextmanager
def hasty() -> Iterator[None]:
    """Half a second's patience, for a Hub that says nothing; from one that answers, a slow machine needs more."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("READ_SECONDS", "WRITE_SECONDS"):
            patch.setattr(wire, name, 0.5)
        yield


@pytest.fixture
def double(own_cache) -> Iterator[HubDouble]:
    with HubDouble() as server:
        yield server


@pytest.fixture
def run(tmp_path) -> Run:
    """The shipped run, with what its folder may also hold on a person's disk."""
    folder = shutil.copytree(SHIPPED, tmp_path / "run")
    for name in ("state/state.pt", ".env", "notes.txt", "snapshots/step-00000001.safetensors", "samples/me.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(SECRET)
    return Run(folder)


def push(run: Run, double: HubDouble, **options) -> hub.Pushed:
    """Push to me/digits with the card, as train.py does."""

    def write_card(theirs: str | None) -> str:
        return card.text(run, run.read_json("metrics.json"), "me/digits", theirs)

    return hub.push(run, "me/digits", card=write_card, endpoint=double.url, **options)


def pull(double: HubDouble, source: str = "me/digits", **options) -> hub.Fetched:
    return hub.fetch(source, endpoint=double.url, **options)


# ---------------------------------------------------------------- the protocol


def _handler(double: HubDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            self.place = unquote(urlsplit(self.path).path)
            double.requests.append((self.command, self.place, "authorization" in self.headers))
            for word, (kind, status, headers) in list(double.rules.items()):
                if word in self.place:
                    return self.misbehave(kind, status, headers)
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with double.lock:
                self.route(data)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

        def misbehave(self, kind: str, status: int, headers: dict[str, str]) -> None:
            self.close_connection = kind != "answer"
            if kind == "stall":
                double.released.wait(60)
            elif kind == "drop":
                self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            else:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.reply(status, {"error": "told to"}, **headers)

        # -- answers

        def reply(self, status: int, body: object = b"", **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def missing(self, code: str, **headers: str) -> None:
            self.reply(401 if code == "RepoNotFound" else 404, {"error": code}, X_Error_Code=code, **headers)

        def route(self, data: bytes) -> None:
            for pattern, take in self.routes:
                if match := re.fullmatch(pattern, self.place):
                    return take(self, data, *match.groups())
            self.reply(404, {"error": f"the double knows no {self.command} {self.place}"})

        def repo(self, name: str, revision: str = "main", write: bool = False) -> tuple[Repo, Commit] | None:
            """The repository and its commit; where there is none, the answer is given and None returned."""
            allowed = self.headers.get("authorization") == f"Bearer {TOKEN}"
            repo = double.repos.get(name)
            if repo is None or ((repo.private or write) and not allowed):
                self.missing("RepoNotFound")
                return None
            if (commit := repo.at(revision)) is None:
                self.missing("RevisionNotFound")
                return None
            return repo, commit

        # -- the API

        def create(self, data: bytes) -> None:
            asked = json.loads(data)
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                return self.reply(401, {"error": "Invalid username or password."})
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in double.repos:
                return self.reply(409, {"error": "You already created this model repo", "url": f"{double.url}/{name}"})
            double.repos[name] = Repo(asked.get("visibility") == "private")
            double.repos[name].commit("initial commit", {".gitattributes": b"*.safetensors filter=lfs\n"})
            self.reply(200, {"url": f"{double.url}/{name}", "name": name})

        def info(self, _: bytes, name: str, revision: str | None) -> None:
            if found := self.repo(name, revision or "main"):
                siblings = [{"rfilename": path} for path in sorted(found[1].files)]
                facts = {"id": name, "modelId": name, "sha": found[1].id, "private": found[0].private, "tags": []}
                self.reply(200, {**facts, "siblings": siblings, "downloads": 0, "likes": 0})

        def auth_check(self, _: bytes, name: str) -> None:
            if self.repo(name, write=True):
                self.reply(200, {})

        def preupload(self, data: bytes, name: str, revision: str) -> None:
            if found := self.repo(name, revision, write=True):
                asked = json.loads(data)["files"]
                there = found[1].files
                modes = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LFS) else "regular",
                        "shouldIgnore": False,
                        "oid": self.oid(file["path"], there[file["path"]]) if file["path"] in there else None,
                    }
                    for file in asked
                ]
                self.reply(200, {"files": modes})

        @staticmethod
        def oid(path: str, data: bytes) -> str:
            return hashlib.sha256(data).hexdigest() if path.endswith(LFS) else blob_id(data)

        def lfs_batch(self, data: bytes, name: str) -> None:
            objects = []
            for one in json.loads(data)["objects"]:
                href = {
                    "upload": {"href": f"{double.url}/lfs/{one['oid']}"},
                    "verify": {"href": f"{double.url}/verify"},
                }
                objects.append({**one, **({} if one["oid"] in double.objects else {"actions": href})})
            self.reply(200, {"transfer": "basic", "objects": objects})

        def lfs_put(self, data: bytes, oid: str) -> None:
            if hashlib.sha256(data).hexdigest() != oid:
                return self.reply(400, {"error": "not what was announced"})
            double.objects[oid] = data
            self.reply(200)

        def lfs_verify(self, data: bytes) -> None:
            self.reply(200 if json.loads(data)["oid"] in double.objects else 404, {})

        def commit(self, data: bytes, name: str, revision: str) -> None:
            if found := self.repo(name, revision, write=True):
                header, *operations = [json.loads(line) for line in data.splitlines()]
                if header["value"].get("parentCommit", found[1].id) != found[1].id:
                    return self.reply(412, {"error": "A commit has happened since. Please refresh and try again."})
                changes, deleted = {}, set()
                for operation in operations:
                    value = operation["value"]
                    if operation["key"] == "file":
                        changes[value["path"]] = base64.b64decode(value["content"])
                    elif operation["key"] == "lfsFile":
                        changes[value["path"]] = double.objects[value["oid"]]
                    else:
                        assert operation["key"] == "deletedFile", operation
                        deleted.add(value["path"])
                made = found[0].commit(header["value"]["summary"], changes, deleted)
                self.reply(200, {"commitOid": made.id, "commitUrl": f"{double.url}/{name}/commit/{made.id}"})

        def tag(self, data: bytes, name: str, revision: str) -> None:
            if found := self.repo(name, revision, write=True):
                tag = json.loads(data)["tag"]
                if tag in found[0].tags:
                    return self.reply(409, {"error": "Tag already exists"})
                found[0].tags[tag] = found[1].id
                self.reply(200, {})

        def paths_info(self, data: bytes, name: str, revision: str) -> None:
            if found := self.repo(name, revision):
                wanted = parse_qs(data.decode())["paths"]
                files = found[1].files
                facts = [
                    {"type": "file", "path": path, "size": len(files[path]), "oid": blob_id(files[path])}
                    for path in wanted
                    if path in files
                ]
                self.reply(200, facts)

        def resolve(self, _: bytes, name: str, revision: str, path: str) -> None:
            if not (found := self.repo(name, revision)):
                return
            headers = {"X_Repo_Commit": found[1].id}
            if path not in found[1].files:
                return self.missing("EntryNotFound", **headers)
            content = found[1].files[path]
            if path.endswith(LFS):
                oid = hashlib.sha256(content).hexdigest()
                double.objects[oid] = content
                linked = {"X_Linked_Etag": f'"{oid}"', "X_Linked_Size": str(len(content))}
                elsewhere = double.url.replace("127.0.0.1", "localhost")  # another host, as the Hub's storage is
                return self.reply(302, b"", Location=f"{elsewhere}/cdn/{oid}", **headers, **linked)
            self.content(content, ETag=f'"{blob_id(content)}"', **headers)

        def cdn(self, _: bytes, oid: str) -> None:
            self.content(double.objects[oid], ETag=f'"{oid}"')

        def content(self, data: bytes, **headers: str) -> None:
            if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                start = int(match[1])
                headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                return self.reply(206, data[start:], **headers)
            self.reply(200, data, **headers)

        def validate(self, data: bytes) -> None:
            self.reply(200, {"errors": [], "warnings": []})

        routes = (
            (r"/api/repos/create", create),
            (r"/api/validate-yaml", validate),
            (r"/api/models/([^/]+/[^/]+)/auth-check(?:/write)?", auth_check),
            (r"/api/models/([^/]+/[^/]+)/preupload/(.+)", preupload),
            (r"/api/models/([^/]+/[^/]+)/commit/(.+)", commit),
            (r"/api/models/([^/]+/[^/]+)/tag/(.+)", tag),
            (r"/api/models/([^/]+/[^/]+)/paths-info/(.+)", paths_info),
            (r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", info),
            (r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", lfs_batch),
            (r"/lfs/([0-9a-f]{64})", lfs_put),
            (r"/verify", lfs_verify),
            (r"/cdn/([0-9a-f]{64})", cdn),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", resolve),
        )

    return Handler
