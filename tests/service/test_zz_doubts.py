from datetime import timedelta
from sqlalchemy import update
from merger import failpoints, records
from merger.errors import Broken
from merger.timeline import utc
from tests.conftest import START, seconds
from tests.databases import ON_SQLITE

@ON_SQLITE
def test_a(site):
    site.add_room(); site.film("speaker"); site.film("screen", sound=False); site.ask()
    site.clock = utc(START + seconds(6))
    print("AT END:", site.work(), site.row().run_after, site.events())

@ON_SQLITE
def test_b(site, monkeypatch):
    site.add_room(); site.film("speaker"); bad = site.film("screen", sound=False); site.ask()
    def hook(n):
        if n == "encode.part": raise Broken("encoder", "x")
    with monkeypatch.context() as m:
        m.setattr(failpoints, "hook", hook); print(site.work())
    bad.unlink(); records.retry(site.engine, 1, site.clock)
    print("RETRY:", site.work(), site.details()["gaps"], site.details()["warnings"])

@ON_SQLITE
def test_c(site, monkeypatch):
    site.add_room(); site.film("speaker"); site.film("screen", sound=False); site.ask()
    site.environ["MERGER_OUTPUT"] = str(site.folder/"out"); (site.folder/"out").mkdir()
    def hook(n):
        if n == "deliver.reserved": raise Broken("whatever", "x")
    with monkeypatch.context() as m:
        m.setattr(failpoints, "hook", hook); print(site.work())
    print("AGAIN:", site.ask(), site.work(), sorted(p.name for p in site.merged.iterdir()))
