"""What machines look at: whether the process lives, whether the service is ready, its numbers.

The first two are open to everybody, and name nothing. Numbers are for who may see all records. This
machine itself is no exception: behind a proxy, everybody may seem to come from it.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from merger.errors import Forbidden
from merger.monitoring import destinations
from merger.monitoring import metrics as vitals
from merger.monitoring.metrics import Disks
from merger.service import Service
from merger.storage.disk_space import Disk
from merger.web.api import base
from merger.web.auth import require_principal, service
from models import STAGES, STATUSES

blueprint = Blueprint("operations", __name__)
DISKS = Disks()


@blueprint.get("/healthz")
def alive() -> Response:
    """Say that this process lives."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@blueprint.get("/readyz")
def ready() -> Response:
    """Say whether records can be asked for and made, and else why not."""
    here = service()
    found = vitals.disks(DISKS, here.settings)
    checks = vitals.readiness(here.engine, here.settings, found, here.now())
    is_ready = vitals.is_ready(checks)
    checks |= destinations.remote_checks(here.engine, here.now())  # others are to mend these
    words = {name: str(message) for name, message in checks.items()}
    return base.reply({"ready": is_ready, "checks": words}, 200 if is_ready else 503)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Give the numbers as Prometheus reads them, as they are now."""
    if not require_principal("read").sees_all:
        raise Forbidden("forbidden", "web.metrics_forbidden")
    registry = CollectorRegistry()
    registry.register(Numbers(service(), DISKS))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Numbers(Collector):
    """Reads the database when it is asked: nothing is counted in the memory of a process."""

    def __init__(self, of: Service, disks: Disks) -> None:
        self._service, self._disks = of, disks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        here = self._service
        read = vitals.read_all(here.engine, here.settings, self._disks, here.now())
        seen, flows, now = read.vitals, read.flows, read.at
        yield _gauge(
            "merger_records", "Records, by status and stage.", ("status", "stage"),
            {(w, s): seen.records.get((w, s), 0) for w in STATUSES for s in STAGES},
        )  # fmt: skip
        yield _gauge(
            "merger_failed_records", "Failed records, by error code.", ("code",),
            {(code,): count for code, count in seen.failures.items()},
        )  # fmt: skip
        sent = vitals.count_sent(here.engine)
        messages: dict[tuple[str, ...], float] = {key: float(n) for key, n in seen.messages.items()}
        messages |= {(channel, "sent"): float(n) for channel, n in sent.items()}
        yield _gauge(
            "merger_messages", "Mails and webhook calls, by status.",
            ("channel", "status"), messages,
        )  # fmt: skip
        yield _gauge(
            "merger_due_records", "Records that wait for a worker.", (), {(): float(seen.due)}
        )
        yield _gauge(
            "merger_oldest_due_seconds", "Longest time that a due record has been waiting.", (),
            {(): seen.oldest_due_s},
        )  # fmt: skip
        yield _gauge(
            "merger_daemon_silence_seconds",
            "Time since the last heartbeat of a daemon; infinite if there never was one.", (),
            {(): seen.silence_s},
        )  # fmt: skip
        yield _gauge(
            "merger_encode_speed",
            "Seconds of video encoded per second, over the last ten records; reused parts count as"
            " taking no time.", (),
            {} if seen.speed is None else {(): seen.speed},
        )  # fmt: skip
        yield _gauge(
            "merger_source_is_live", "1 while a source to be recorded now sends media, else 0.",
            ("room", "source"), {names: float(f.how == "coming") for names, f in flows.items()},
        )  # fmt: skip
        yield _gauge(
            "merger_source_silent_seconds", "How long the source has sent no media.",
            ("room", "source"), {names: flow.silent_s(now) for names, flow in flows.items()},
        )  # fmt: skip
        disks = {name: disk for name, disk in read.disks.items() if isinstance(disk, Disk)}
        yield _gauge(
            "merger_disk_free_bytes", "Free bytes on a disk.", ("disk",),
            {(name,): disk.free for name, disk in disks.items()},
        )  # fmt: skip
        yield _gauge(
            "merger_disk_total_bytes", "Total bytes of a disk.", ("disk",),
            {(name,): disk.total for name, disk in disks.items()},
        )  # fmt: skip


def _gauge(
    name: str, about: str, labels: tuple[str, ...], samples: dict[tuple[str, ...], float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, number in samples.items():
        family.add_metric(values, number)
    return family
