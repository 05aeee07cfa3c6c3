"""Whether an address answers, within seconds."""

import base64
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

from finery.doctor.finding import Finding, note, ok

SECONDS = 3.0
LOOPBACK = "127.0.0.1"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer; following it would send a token on to another host."""

    def redirect_request(self, *_: object) -> None:
        return None


def status(url: str, token: str | None = None, *, direct: bool = False) -> int | str:
    """The status a web server answers with, or the reason why none does.

    Through the proxy that the environment names, unless `direct`. Names and passwords in the URL
    are sent as such.
    """
    handlers = [_NoRedirect(), *([urllib.request.ProxyHandler({})] if direct else [])]
    try:
        request = urllib.request.Request(_without_user(url), headers=_authorization(url, token))
        with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError, HTTPException) as error:
        return _reason(getattr(error, "reason", None) or error)


def connects(host: str, port: int) -> str | None:
    """Why no connection can be made, or None if one can."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError as error:
        return _reason(error)
    return None


def without_password(url: str) -> str:
    """The URL as it may be printed: without a name, a password or a token in it."""
    return urlsplit(_without_user(url))._replace(query="", fragment="").geturl()


def proxy() -> Iterator[Finding]:
    """A proxy for this machine's own addresses cuts the flows off from their Prefect server."""
    environment = {name.lower(): value for name, value in os.environ.items()}
    named = [name for name in PROXIES if environment.get(name)]
    if not named:
        return
    if urllib.request.proxy_bypass_environment(LOOPBACK):
        yield ok("proxy", f"{', '.join(named).upper()}, not for {LOOPBACK}")
    else:
        what = f"{', '.join(named).upper()} is set for {LOOPBACK} too: flows miss their own server"
        yield note("proxy", what, f"export NO_PROXY={LOOPBACK},localhost")


def _authorization(url: str, token: str | None) -> dict[str, str]:
    if token:
        return {"Authorization": f"Bearer {token}"}
    if userinfo := urlsplit(url).netloc.rpartition("@")[0]:
        return {"Authorization": f"Basic {base64.b64encode(unquote(userinfo).encode()).decode()}"}
    return {}


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:.0f} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted here: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "the name is not known"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
