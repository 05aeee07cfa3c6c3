"""What is counted, for Prometheus; of each server its own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class Meters:
    """Requests, tokens and times."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self.requests = self._made(
            Counter, "finery_requests", "Requests, by what was asked and the HTTP status.",
            ["path", "status"],
        )  # fmt: skip
        self.seconds = self._made(
            Histogram, "finery_request_seconds", "From a request to the end of its reply.", ["path"]
        )
        self.first = self._made(
            Histogram, "finery_first_token_seconds", "From a request to its first word."
        )
        self.prompt_tokens = self._made(Counter, "finery_prompt_tokens", "Tokens read.")
        self.answer_tokens = self._made(Counter, "finery_answer_tokens", "Tokens written.")
        self.left = self._made(Counter, "finery_left", "Clients that left before the end.")
        self.changes = self._made(Counter, "finery_model_changes", "Models put into service.")

    def show(self, name: str, says: str, value: Callable[[], float]) -> None:
        """Have a value that is looked up when somebody asks."""
        Gauge(name, says, registry=self._all).set_function(value)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._all)

    def _made(self, kind: type, name: str, says: str, labels: list[str] | None = None):
        buckets = {"buckets": SECONDS} if kind is Histogram else {}
        return kind(name, says, labels or [], registry=self._all, **buckets)
