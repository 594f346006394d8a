"""The way to the Hugging Face Hub: a client that never waits for ever, and failures in one line for a person."""

import errno
import functools
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gan_demo.errors import GanDemoError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

READ_SECONDS = 3  # of silence, where the Hub is asked for something
WRITE_SECONDS = 60  # of silence, where it has to store something
GIVE_UP_SECONDS = 100  # of silence, after which huggingface_hub's five retries are left out
WANTED = "huggingface-hub>=1.16,<3"  # as in requirements.txt
Token = str | bool | None  # False sends none; None sends the one of HF_TOKEN or `hf auth login`


class HubError(GanDemoError):
    """What kept the Hub from doing something; `passing` where the same may work later (network, limits, server)."""

    def __init__(self, sentence: str, passing: bool = False):
        super().__init__(sentence)
        self.passing = passing


class MissingError(HubError):
    """The Hub knows no such repository or revision, or none that this token may see."""


_BOUNDING = threading.Lock()


def connect(token: Token = None, endpoint: str | None = None) -> "HfApi":
    """A client of the Hub at `endpoint` (HF_ENDPOINT where None).

    Raises HubError where huggingface_hub is missing or too old, or cannot use the proxy or certificates of the
    environment.
    """
    check_installed()
    _leave_xet_out()
    try:
        with _BOUNDING:  # functools.cache keeps no second thread out
            _bound_waiting()
    except OSError as error:
        why = error.strerror or _first_line(error)
        raise HubError(
            f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be used ({why}): give one that can, or unset it"
        ) from None
    except Exception as error:  # ImportError, ValueError, and what the HTTP library calls a bad URL
        raise HubError(
            f"the proxy of HTTPS_PROXY or ALL_PROXY will not do: give one that speaks HTTP ({_first_line(error)})"
        ) from None
    from huggingface_hub import HfApi

    return HfApi(token=token, endpoint=endpoint, library_name="gan-demo")


def check_installed() -> None:
    """Raise HubError where huggingface_hub is missing, too old for what is done with it here, or wrongly set."""
    try:
        import huggingface_hub as hub
        import huggingface_hub.constants
    except ImportError:
        here = "none"
    except ValueError as error:
        raise HubError(
            f"huggingface_hub cannot be used ({_first_line(error)}): set its HF_ variables to what can"
        ) from None
    else:
        if hasattr(hub, "set_client_factory"):
            return
        here = hub.__version__
    raise HubError(f"the Hub is reached by {WANTED}, and here is {here}: pip install '{WANTED}'")


def check_online(repo_id: str) -> None:
    """Raise HubError where this process will never reach the Hub: HF_HUB_OFFLINE is read once."""
    check_installed()
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise HubError(f"{repo_id} cannot be pushed to: HF_HUB_OFFLINE is set: unset it, or push later with --resume")


def _leave_xet_out() -> None:
    """Have files go by HTTP, whose waits are bounded below. Xet's own transfers would wait for ever.

    Who sets HF_HUB_DISABLE_XET, to 0 too, has their way. huggingface_hub reads this at every transfer.
    """
    from huggingface_hub import constants

    if "HF_HUB_DISABLE_XET" not in os.environ:
        constants.HF_HUB_DISABLE_XET = True


@functools.cache
def _bound_waiting() -> None:
    """Bound every wait of huggingface_hub's client, once a process: most of its calls ask to wait for ever."""
    import huggingface_hub as hub
    from huggingface_hub.utils import disable_progress_bars, logging

    logging.set_verbosity_error()  # its warnings come before the one line that an error gets here
    disable_progress_bars()
    hooks = hub.get_session().event_hooks

    class Client(type(hub.get_session())):  # type: ignore[misc]  # httpx2's from huggingface_hub 2.0 on, httpx's before
        silent_since = 0.0  # of all clients: when the first write was sent of those that nothing answered; 0 for none

        def send(self, request: Any, **options: Any) -> Any:
            now = time.monotonic()
            reads = request.method in ("GET", "HEAD") or "/paths-info/" in request.url.path
            given_up = Client.silent_since and now - Client.silent_since >= GIVE_UP_SECONDS
            seconds = READ_SECONDS if reads or given_up else WRITE_SECONDS
            asked = request.extensions.get("timeout") or {}
            waits = {what: asked.get(what) or seconds for what in ("connect", "read", "write", "pool")}
            request.extensions = {**request.extensions, "timeout": waits}
            try:
                answer = super().send(request, **options)
            except Exception as error:
                if not reads and "Timeout" in type(error).__name__:
                    Client.silent_since = Client.silent_since or now
                    if time.monotonic() - Client.silent_since >= GIVE_UP_SECONDS:
                        raise TimeoutError("the Hub does not answer") from None  # which huggingface_hub does not retry
                raise
            Client.silent_since = 0.0
            if reads and answer.status_code == 429:  # which huggingface_hub would wait out, five times, minutes each
                hub.utils.hf_raise_for_status(answer)
            return answer

    hub.set_client_factory(lambda: Client(event_hooks=hooks, follow_redirects=True, timeout=None))


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what huggingface_hub raises inside into a HubError that begins with `what`."""
    from huggingface_hub.errors import HfHubHTTPError

    http_error: Any = HfHubHTTPError.__mro__[1]  # HTTPError of the HTTP library that is in use
    bad_url = sys.modules[http_error.__module__.split(".")[0]].InvalidURL
    try:
        yield
    except GanDemoError:
        raise
    except (http_error, bad_url, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:  # those: odd JSON
        raise _explain(error, what) from None


def _explain(error: BaseException, what: str) -> HubError:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    while isinstance(error, LocalEntryNotFoundError | RuntimeError) and error.__cause__:
        error = error.__cause__  # "not cached either", "error while uploading": say why
    if isinstance(error, GatedRepoError):
        return HubError(f"{what}: its owner grants access one by one: ask for it on its page, then `hf auth login`")
    if isinstance(error, RepositoryNotFoundError):
        return MissingError(
            f"{what}: there is no such repository, or it is private: check the name, or `hf auth login`"
        )
    if isinstance(error, RevisionNotFoundError):
        return MissingError(f"{what}: it has no such revision: give a branch, a tag or a commit of it")
    if isinstance(error, OfflineModeIsEnabled):
        return HubError(f"{what}: HF_HUB_OFFLINE is set: unset it to reach the Hub", passing=True)
    response = getattr(error, "response", None)
    if response is not None:
        return _explain_status(response, what)
    name = type(error).__name__
    if name == "InvalidURL":
        return HubError(f"{what}: its address will not do ({_first_line(error)}): set HF_ENDPOINT to one that does")
    if "Timeout" in name:
        return HubError(f"{what}: the Hub does not answer: try again later", passing=True)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(f"{what}: the disk is full: free some space and try again", passing=True)
    if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2") or isinstance(
        error, ConnectionError
    ):
        return HubError(f"{what}: the Hub cannot be reached ({name}): check the network", passing=True)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):  # it names a path
        why = f"the cache cannot be used ({error.strerror})"
        return HubError(f"{what}: {why}: set HF_HOME to a folder that can be written", passing=True)
    told = error.strerror if isinstance(error, OSError) and error.filename else _first_line(error)  # it names a path
    return HubError(f"{what}: {told or name}; try again later")


def _explain_status(response: Any, what: str) -> HubError:
    status, asked = response.status_code, response.request
    if status == 401:
        return HubError(f"{what}: the Hub does not accept the token (401): `hf auth login`, or set HF_TOKEN")
    if status == 403 and asked.method == "GET" and "/auth-check" not in asked.url.path:
        return HubError(f"{what}: the Hub refuses it (403): ask its owner, or set a token that may read it")
    if status == 403:
        return HubError(f"{what}: the token may not write there (403): take a name of your own, or a token that may")
    if status == 404:
        return HubError(f"{what}: the Hub does not find it (404): check the name")
    if status == 429:
        wait = response.headers.get("retry-after", "")
        wait = wait or "".join(re.findall(r";\s*t=(\d+)", response.headers.get("ratelimit", ""))[:1])
        return HubError(
            f"{what}: too many requests (429): try again in {f'{wait} s' if wait.isdigit() else 'some minutes'}", True
        )
    if status == 412:
        return HubError(f"{what}: somebody else changed it at the same moment: try again", passing=True)
    said = " ".join(str(response.headers.get("x-error-message", "")).split())[:120]
    if status >= 500 or status == 408:
        return HubError(f"{what}: the Hub has trouble ({status}): try again later", passing=True)
    return HubError(f"{what}: the Hub answered {status}{f' ({said})' if said else ''}; try again later")


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(". ")
