"""Run folders on the Hugging Face Hub: push one in one commit, fetch anybody's and its snapshots when they are read.

A repository holds the run folder as it is, but `state/`. Only files that the contract names are ever sent or fetched.
"""

import inspect
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_demo.errors import GanDemoError
from gan_demo.files import is_whole, write_file
from gan_demo.naming import COMMIT, INDEX, MAIN, MB, SIDE_FILES, files_of, names_of, parse, parse_target, stale
from gan_demo.run import MAX_SNAPSHOTS, Run
from gan_demo.wire import READ_SECONDS, HubError, Token, check_installed, connect, explained

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

ENDING = threading.Event()  # the program is: no further file is fetched
MAX_BYTES = 2000 * MB  # of all that is fetched from one repository


# ---------------------------------------------------------------- push


@dataclass(frozen=True)
class Pushed:
    """Where a push went. `tag` is None for a run that is not finished; `changed` is False where nothing was new."""

    url: str
    commit: str
    tag: str | None
    changed: bool


def make_repo(repo_id: str, private: bool = False, *, token: Token = None, endpoint: str | None = None) -> None:
    """Make the repository where there is none; HubError where that fails."""
    _make_repo(connect(token, endpoint), parse_target(repo_id), private)


def _make_repo(api: "HfApi", repo_id: str, private: bool) -> str:
    with explained(f"{repo_id} cannot be pushed to"):
        url = str(api.create_repo(repo_id, private=private or None, exist_ok=True))
        if "write" in inspect.signature(api.auth_check).parameters:  # older ones tell a reader's token at the end
            api.auth_check(repo_id, write=True)
        there = api.model_info(repo_id)
        if private and not there.private:
            raise HubError(f"{repo_id} is public already: make it private on its page, or leave --private out")
        if names_of(there) & {"config.json", "model.safetensors"} and INDEX not in names_of(there):
            raise HubError(f"{repo_id} holds another model, which a push would replace: choose another name")
        return url


def push(
    run: Run,
    repo_id: str,
    private: bool = False,
    card: Callable[[str | None], str] | None = None,
    *,
    token: Token = None,
    endpoint: str | None = None,
) -> Pushed:
    """Send the run folder in one commit, and tag it where the run is finished. Unchanged files make no commit.

    `card` is given the repository's card (where it has none the folder's, or None) and returns the one to put there, so
    that what a person wrote in it can be kept; the folder gets it too. Raises HubError where anything fails, and
    GanDemoError where a snapshot cannot be read: then nothing changed, or nothing but the tag is missing.
    """
    repo_id, api = parse_target(repo_id), connect(token, endpoint)
    for step in run.steps:  # of one that is missing or damaged here the repository may hold the only good copy
        run.read_snapshot(step)
    url = _make_repo(api, repo_id, private)
    with explained(f"{repo_id} cannot be pushed to"):
        before = api.model_info(repo_id)
        if card:
            run.write("README.md", card(_known_card(api, repo_id, before, run)))
        commit = _commit(api, repo_id, before, run)
    return Pushed(url, commit, _tag(api, repo_id, commit, run), commit != before.sha)


def _known_card(api: "HfApi", repo_id: str, before: "ModelInfo", run: Run) -> str | None:
    """The repository's card; where it has none the folder's, or None."""
    theirs = run.path / "README.md"
    if "README.md" in names_of(before):  # of that commit: of a branch the cache would answer where the Hub does not
        theirs = Path(api.hf_hub_download(repo_id, "README.md", revision=before.sha))
    return theirs.read_text(encoding="utf-8", errors="replace") if theirs.exists() else None


def _commit(api: "HfApi", repo_id: str, before: "ModelInfo", run: Run) -> str:
    """Send the run in one commit after `before`; returns its name, that of `before` where nothing was new."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    names = files_of(run)
    done = api.create_commit(
        repo_id,
        [
            *(CommitOperationAdd(name, run.path / name) for name in names),
            *(CommitOperationDelete(name) for name in stale(before, names)),
        ],
        commit_message=f"{run.config.name}: {run.config.steps} of {run.config.length} steps",
        parent_commit=before.sha,  # what somebody writes into the card meanwhile is not lost: the push fails
    )
    return str(done.oid)


def last_snapshots(api: "HfApi", repo_id: str, before: "ModelInfo") -> set[str]:
    """The sha256 of the last two snapshots that a repository lists: the last of a stopped run goes when it goes on."""
    with suppress(ValueError, KeyError, TypeError):  # whatever a stranger wrote there
        if INDEX in names_of(before):
            index = Path(api.hf_hub_download(repo_id, INDEX, revision=before.sha)).read_text()
            return {str(entry["sha256"]) for entry in json.loads(index)["snapshots"][-2:]}
    return set()


def _tag(api: "HfApi", repo_id: str, commit: str, run: Run) -> str | None:
    """Tag the commit of a finished run; None where it is not finished."""
    if run.config.steps != run.config.length:
        return None
    tag = f"step-{run.config.steps}-{commit[:8]}"  # of the commit, for a run that is judged later is another one
    with explained(f"{repo_id} has the whole run, but its tag {tag} cannot be set"):
        api.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True)
    return tag


# ---------------------------------------------------------------- pull


@dataclass(frozen=True)
class Fetched:
    """A run from the Hub, in huggingface_hub's cache. Its snapshots come when they are read.

    `commit` is what the revision meant when it was resolved, and what everything comes from. `trouble` says why the Hub
    could not be asked, where the cache answered instead.
    """

    run: Run
    commit: str
    trouble: str = ""


def fetch(
    source: str,
    revision: str | None = None,
    *,
    token: Token = None,
    endpoint: str | None = None,
    limit: int = MAX_BYTES,
    cache: Path | None = None,
    ended: threading.Event = ENDING,
) -> Fetched:
    """Fetch config, index and the last weights of `user/name[@revision]`; the other snapshots when they are read.

    Sizes are known, and held against `limit` bytes in all, before any weight is fetched. A pinned commit that is here
    needs no request, and anything that is here opens without a network. `token=False`, for a name that a stranger
    gave, sends no token and shows nothing that the Hub would not show to everyone: no cache answers in its place.
    `cache` is a folder to keep everything in; None is huggingface_hub's own. Once `ended` is set nothing more is
    fetched, and that folder is cleared away.
    Raises HubError (`passing` where the Hub could not be asked), or GanDemoError where the repository holds no run
    that may be opened.
    """
    repo_id, revision = parse(source, revision)
    check_installed()
    own, trouble = token is not False, ""
    run = _cached(repo_id, revision, cache) if own and COMMIT.fullmatch(revision) else None
    if run is None:
        try:
            run = _ask(connect(token, endpoint), repo_id, revision, own, limit, cache)
        except HubError as error:  # the Hub or half of it is silent, or the disk is full: what was there before is good
            run = _cached(repo_id, revision, cache, in_part=True) if own and error.passing else None
            if run is None:
                raise
            trouble = str(error)
    commit = run.path.name  # as huggingface_hub's cache has it

    def get(names: Sequence[str]) -> None:
        api = connect(token, endpoint)
        sizes = _sizes(api, repo_id, commit, names)
        _check_snapshots(run, sizes, names, limit)
        try:
            _download(api, repo_id, commit, {name: sizes[name] for name in names}, cache, ended)
        finally:
            if ended.is_set() and cache:  # it was cleared away meanwhile, and what was on its way has made it anew
                shutil.rmtree(cache, ignore_errors=True)

    run.fetch = get
    return Fetched(run, commit, trouble)


def _ask(api: "HfApi", repo_id: str, revision: str, own: bool, limit: int, cache: Path | None) -> Run:
    """The run at what the revision means now; only what the cache has not is fetched."""
    with explained(f"{repo_id} {'is no folder here and ' if own else ''}cannot be opened"):
        commit = str(api.model_info(repo_id, revision=revision).sha)
    if not COMMIT.fullmatch(commit):
        raise HubError(
            f"{repo_id} cannot be opened: the Hub names no commit for {revision}: give a branch, a tag or a commit"
        )
    run = _cached(repo_id, commit, cache) or _fetch_first(api, repo_id, commit, limit, cache)
    _remember(run.path.parent.parent / "refs" / revision, commit)
    return run


def _remember(ref: Path, commit: str) -> None:
    """Write down what a revision means, as huggingface_hub does: so it is read where there is no network."""
    with suppress(OSError):  # a cache that can only be read
        if not ref.exists() or ref.read_bytes() != commit.encode():
            write_file(ref, commit)


def newer(
    repo_id: str, commit: str, revision: str = MAIN, *, token: Token = None, endpoint: str | None = None
) -> str | None:
    """The commit that `revision` means now, where it is another than `commit`; one request, HubError where it fails."""
    with explained(f"{repo_id} cannot be watched"):
        now = connect(token, endpoint).model_info(repo_id, revision=revision).sha
    return None if now in (None, commit) else now


def cache_beside(name: str) -> Path:
    """A folder for another cache, on the disk that huggingface_hub's own is on."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).with_name(name)


def forget_other_commits(run: Run) -> None:
    """Drop from the cache what no file of this commit of the repository needs. Only where nobody else uses it."""
    for folder in run.path.parent.iterdir():
        if folder.name != run.path.name:
            shutil.rmtree(folder, ignore_errors=True)
    needed = {Path(os.readlink(path)).name for path in run.path.rglob("*") if path.is_symlink()}
    repository = run.path.parent.parent
    blobs = [blob for blob in (repository / "blobs").glob("*") if blob.suffix != ".incomplete"]  # that is on its way
    for blob in blobs:
        if blob.name not in needed:
            blob.unlink(missing_ok=True)
    # A blob may itself be a link, to a content that the cache keeps once for all repositories (huggingface_hub 2).
    held = {blob.resolve() for blob in blobs if blob.is_symlink()}
    for content in (repository.parent / "blobs").glob("*/*"):
        if content.resolve() not in held and content.suffix != ".incomplete":
            content.unlink(missing_ok=True)


def _cached(repo_id: str, revision: str, cache: Path | None, in_part: bool = False) -> Run | None:
    """The run as the cache holds it, or None where it lacks a file of those that are fetched first.

    A power cut may have left an empty one: that is lacking, too, unless `in_part`.
    """
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repo_id, "config.json", cache_dir=cache, revision=revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    there = [folder / name for name in SIDE_FILES if (folder / name).exists()]
    if not (in_part or all(path.stat().st_size for path in there)):
        return None
    run = _open(folder, repo_id)
    last = run.snapshots[-1].file if run.snapshots else "index.json"  # fetched last, so the others are here too
    return run if (run.path / "snapshots" / last).exists() else None


def _open(folder: Path, repo_id: str) -> Run:
    name = f"{repo_id}@{folder.name[:7]}"
    try:
        run = Run(folder)
    except GanDemoError as error:  # the cache's path is nobody's business
        raise GanDemoError(str(error).replace(str(folder), name)) from None
    run.label = name
    return run


def _fetch_first(api: "HfApi", repo_id: str, commit: str, limit: int, cache: Path | None) -> Run:
    """Fetch config and index, hold them against the rules, then the small files and last of all the last snapshot."""
    sizes = _sizes(api, repo_id, commit, SIDE_FILES)
    if missing := [name for name in ("config.json", INDEX) if name not in sizes]:
        raise HubError(f"{repo_id} holds no run (it has no {missing[0]}): give a repository that train.py pushed")
    for name, size in sizes.items():
        if size > SIDE_FILES[name]:
            raise HubError(f"{repo_id}: {name} has {size:,} bytes, more than a run's may have: open another")
    first = {name: sizes.pop(name) for name in (INDEX, "config.json")}
    run = _open(_download(api, repo_id, commit, first, cache), repo_id)
    if len(run.snapshots) > MAX_SNAPSHOTS:
        raise HubError(f"{repo_id} lists {len(run.snapshots):,} snapshots, more than {MAX_SNAPSHOTS:,}: open another")
    total = sum(first.values()) + sum(sizes.values()) + sum(snapshot.bytes for snapshot in run.snapshots)
    if total > limit:
        raise HubError(f"{repo_id} has {total:,} bytes, more than the {limit:,} that may be fetched here: open another")
    if sizes:
        _download(api, repo_id, commit, sizes, cache)
    if run.snapshots:
        last = [f"snapshots/{run.snapshots[-1].file}"]
        sizes = _sizes(api, repo_id, commit, last)
        _check_snapshots(run, sizes, last, limit)
        _download(api, repo_id, commit, sizes, cache)
    return run


def _sizes(api: "HfApi", repo_id: str, commit: str, names: Iterable[str]) -> dict[str, int]:
    """Sizes in bytes of those of the files that the repository has; nothing is fetched."""
    from huggingface_hub.hf_api import RepoFolder

    with explained(f"{repo_id} cannot be opened"):
        found = api.get_paths_info(repo_id, list(names), revision=commit)
    return {entry.path: int(entry.size) for entry in found if not isinstance(entry, RepoFolder)}


def _check_snapshots(run: Run, sizes: dict[str, int], names: Sequence[str], limit: int) -> None:
    """Hold the snapshots' sizes on the Hub against what the index says of them, and against the limit."""
    listed = {f"snapshots/{snapshot.file}": snapshot.bytes for snapshot in run.snapshots}
    for name in names:
        if sizes.get(name) != listed[name] or listed[name] > limit:
            size = f"has {sizes[name]:,} bytes" if name in sizes else "is missing"
            raise HubError(f"{run.label}: {name} {size}, its index says {listed[name]:,}: push it again")


def _download(
    api: "HfApi",
    repo_id: str,
    commit: str,
    sizes: dict[str, int],
    cache: Path | None,
    ended: threading.Event = ENDING,
) -> Path:
    """Bring files by exact name into the cache, several at a time, broken ones anew; the folder that holds them."""
    from huggingface_hub import try_to_load_from_cache

    place: dict[str, Any] = {"revision": commit, "cache_dir": cache}

    def one(name: str) -> Path:
        if ENDING.is_set() or ended.is_set():  # the interpreter would wait for all that are in the queue
            why = "the program is ending, start it" if ENDING.is_set() else "it made way for others here, open it"
            raise HubError(f"{repo_id} was not fetched: {why} again")
        with explained(f"{repo_id}: {name} cannot be fetched"):
            there = try_to_load_from_cache(repo_id, name, **place)
            broken = isinstance(there, str) and not is_whole(Path(there), sizes[name])
            got = api.hf_hub_download(repo_id, name, force_download=broken, etag_timeout=READ_SECONDS, **place)
            return Path(got)

    with ThreadPoolExecutor(min(8, len(sizes))) as pool:
        paths = list(pool.map(one, sizes))
    return paths[0].parents[next(iter(sizes)).count("/")]
