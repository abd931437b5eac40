"""The API of people and keys, and what a key or a session may."""

from __future__ import annotations

from merger.records import lookup
from tests.support.databases import ON_SQLITE
from tests.web.conftest import LECTURE, Web, problem, told


def test_people(web: Web) -> None:
    made = told(
        web.api("ada", "POST", "/users", json={"email": "New@Example.org", "role": "editor"}), 201
    )
    assert (made["email"], made["role"], made["invited"]) == ("new@example.org", "editor", True)
    assert told(web.api("ada", "POST", "/users", json={"email": "new@example.org"})) == made
    one = f"/users/{made['id']}"
    assert told(web.api("ada", "PATCH", one, json={"role": "user", "name": "N"}))["role"] == "user"
    assert made["id"] in [u["id"] for u in told(web.api("ada", "GET", "/users"))["users"]]
    assert web.api("ada", "DELETE", one).status_code == 204
    problem(web.api("ada", "GET", one), 404)
    last = f"/users/{web.ids['ada']}"
    problem(web.api("ada", "PATCH", last, json={"role": "user"}), 422, "role")
    problem(web.api("ada", "DELETE", last), 409)
    problem(web.api("ada", "PATCH", last, json={"invited": False}), 422, "invited")
    problem(web.api("ada", "POST", "/users", json={"email": "x"}), 422, "email")
    problem(web.api("ada", "PATCH", last, json={"role": "king"}), 422, "role")
    problem(web.api("ada", "PATCH", last, json={"password_hash": "x"}), 422, "password_hash")


def test_keys(web: Web) -> None:
    made = told(
        web.api("ann", "POST", "/api-keys", json={"name": "robot", "scopes": ["read"]}), 201
    )
    web.keys["robot"] = made.pop("key")
    assert "key" not in made and web.keys["robot"].startswith(made["hint"])
    assert told(web.api("robot", "GET", "/records"))["records"] == []
    problem(web.api("robot", "POST", "/records", json=LECTURE), 403)
    problem(web.api("robot", "POST", "/api-keys", json={"name": "more"}), 403)
    mine = told(web.api("ann", "GET", "/api-keys"))["keys"]
    assert [key["name"] for key in mine] == ["robot", "tests"]
    assert mine[0]["last_used_at"] is not None
    assert web.keys["robot"] not in str(mine)
    problem(web.api("bob", "DELETE", f"/api-keys/{made['id']}"), 404)
    assert web.api("ann", "DELETE", f"/api-keys/{made['id']}").status_code == 204
    assert web.api("ann", "DELETE", f"/api-keys/{made['id']}").status_code == 204
    problem(web.api("robot", "GET", "/records"), 401)
    problem(
        web.api("ann", "POST", "/api-keys", json={"name": "x", "scopes": ["people"]}), 422, "scopes"
    )
    problem(web.api("ann", "POST", "/api-keys", json={"name": " "}), 422, "name")
    assert len(told(web.api("ada", "GET", "/api-keys"))["keys"]) == 5
    with web.site.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert web.keys["ann"] not in stored


@ON_SQLITE
def test_a_key_may_no_more_than_its_owner(web: Web) -> None:
    path = f"/users/{web.ids['eve']}"
    told(web.api("ada", "PATCH", path, json={"role": "user"}))
    problem(web.api("eve", "POST", "/rooms", json={"name": "9", "zone": "UTC"}), 403)


@ON_SQLITE
def test_wrong_keys_are_limited_and_right_ones_are_not(web: Web) -> None:
    for _ in range(10):
        problem(web.call(None, "GET", "/api/v1/records", headers={"key": "wrong"}), 401)
    said = web.call(None, "GET", "/api/v1/records", headers={"key": "wrong"})
    problem(said, 429)
    assert int(said.headers["Retry-After"]) > 0
    assert told(web.api("ann", "GET", "/records"))["records"] == []  # from the same address


@ON_SQLITE
def test_a_session_only_reads_the_api(web: Web) -> None:
    client = web.signed_in("ann")
    assert client.get("/api/v1/records").status_code == 200
    assert client.post("/api/v1/records", json=LECTURE).status_code == 403
    assert lookup.room_zone(web.site.engine, "504").key == "Europe/Moscow"
    assert told(client.get("/api/v1/records"))["records"] == []


def keyed(web: Web, name: str, who: str) -> None:
    """Give somebody another key, which may only write."""
    made = told(web.api(who, "POST", "/api-keys", json={"name": name, "scopes": ["write"]}), 201)
    web.keys[name] = made["key"]


def test_a_key_that_may_only_write_sees_what_it_made(web: Web) -> None:
    """Whoever finds such a key learns nothing of what its owner, or anybody else, has recorded."""
    keyed(web, "robot", "ann")
    keyed(web, "other", "ann")
    keyed(web, "editors", "eve")
    made = told(web.api("robot", "POST", "/records", json=LECTURE), 201)
    assert made["status"] == "queued" and made["users"] == ["ann@example.org"]
    assert told(web.api("robot", "POST", "/records", json=LECTURE))["events"]
    assert told(web.api("robot", "POST", "/records/1/cancel"))["status"] == "cancelled"
    for name in ("other", "editors"):
        for action in ("retry", "cancel", "remerge", "cancel"):
            answer = web.api(name, "POST", f"/records/1/{action}", json={"layout": "screen_large"})
            assert told(answer) == {"id": 1}
    told(web.api("ann", "POST", "/records/1/retry"))
    assert told(
        web.api("other", "POST", "/records", json={**LECTURE, "layout": "screen_large"})
    ) == {"id": 1, "access": "granted"}
    problem(web.api("robot", "GET", "/records/1"), 403)


@ON_SQLITE
def test_an_answer_that_is_repeated_tells_a_key_no_more(web: Web) -> None:
    keyed(web, "robot", "ann")
    once = {"json": LECTURE, "headers": {"Idempotency-Key": "k"}}
    made = told(web.api("ann", "POST", "/records", **once), 201)
    answer = web.api("robot", "POST", "/records", **once)
    assert told(answer, 201) == {"id": 1, "access": "granted"}
    assert told(web.api("ann", "POST", "/records", **once), 201) == made


@ON_SQLITE
def test_neither_does_the_other_api_nor_a_page(web: Web) -> None:
    keyed(web, "robot", "ann")
    lecture = {"date": "2026-11-20", "start_time": "10:05", "end_time": "11:20"}
    web.api("ann", "POST", "/records", json=LECTURE)
    web.api("ann", "POST", "/records/1/cancel")
    web.api("ann", "POST", "/records/1/retry")

    def message(who: str) -> str:
        return str(
            told(web.call(who, "POST", "/api/montage-event/504", json=lecture), 201)["message"]
        )

    assert message("robot") == "Record 1 is requested" and message("ann") == "Record 1 is queued"
    web.app.config["WTF_CSRF_ENABLED"] = False
    page = web.call("robot", "POST", "/records/1/remerge", data={"layout": "x"})
    assert page.status_code == 403 and "lecture" not in page.text


@ON_SQLITE
def test_names_lose_what_turns_text_around(web: Web) -> None:
    asked = {**LECTURE, "event_name": "\u202egnp\x00.exe", "course_code": "\u2066M1"}
    made = told(web.api("ann", "POST", "/records", json=asked), 201)
    assert (made["name"], made["course_code"]) == ("gnp.exe", "M1")
    key = told(web.api("ann", "POST", "/api-keys", json={"name": "a\u202eb"}), 201)
    assert key["name"] == "ab"
    user = told(web.api("ada", "POST", "/users", json={"email": "x@x.org", "name": "\u202eX"}), 201)
    assert user["name"] == "X"
    path = f"/users/{user['id']}"
    assert told(web.api("ada", "PATCH", path, json={"name": "Y\u200f"}))["name"] == "Y"


@ON_SQLITE
def test_addresses_that_only_look_like_others_are_refused(web: Web) -> None:
    odd = "\uff41nn@example.org"
    for path, body, field in (
        ("/records", {**LECTURE, "users": [odd]}, "users"), ("/users", {"email": odd}, "email"),
    ):  # fmt: skip
        refused = problem(web.api("ada", "POST", path, json=body), 422, field)
        assert "only look like ordinary ones" in refused["detail"]
    web.api("ann", "POST", "/records", json=LECTURE)
    assert told(web.api("eve", "GET", f"/records?user={odd}"))["records"] == []
    assert len(told(web.api("eve", "GET", "/records?user=%20Ann@example.org"))["records"]) == 1
