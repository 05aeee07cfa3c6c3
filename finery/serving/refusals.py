"""What the server does not do, in OpenAI's shape."""

from typing import Any

from finery.errors import UserError


class Refused(UserError):
    """A request gets no answer: the HTTP status, and what OpenAI's error object says."""

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """As OpenAI writes it; what is no Unicode in it replaced."""
        said = {"message": str(self), "type": _kind(self.status), "param": self.param}
        clean = {
            key: value.encode("utf-8", "replace").decode() if value else value
            for key, value in said.items()
        }
        return {"error": clean | {"code": self.code}}


def _kind(status: int) -> str:
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
    kinds |= {429: "rate_limit_error"}
    if status >= 500:
        return "server_error"
    return kinds.get(status, "invalid_request_error")


def context_full(prompt: int, context: int) -> Refused:
    return Refused(
        f"the prompt has {prompt} tokens and the model reads {context} at most, with its answer;"
        " shorten it",
        param="messages",
        code="context_length_exceeded",
    )
