"""URLs that all programs read alike, and others."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from merger.network.targets import Target, Unclear, scheme_and_host, target_of

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://zoom.us/rec", Target("https", "zoom.us")),
        ("HTTPS://US02Web.Zoom.US./rec?a=b#c", Target("https", "us02web.zoom.us")),
        ("http://chat", Target("http", "chat")), ("http://chat:/", Target("http", "chat")),
        ("http://a_b-c.d:08080?x", Target("http", "a_b-c.d", 8080)),
        ("http://127.0.0.1:80/", Target("http", "127.0.0.1", 80)),
        ("http://[2A00:0::1]:80/", Target("http", "2a00::1", 80)),
        ("http://[fe80::1%25eth0]/", Target("http", "fe80::1%eth0")),
        ("rtsp://10.0.5.4/a?b=\\c", Target("rtsp", "10.0.5.4")),
        ("rtsp://[fe80::1%Eth0]:554/a", Target("rtsp", "fe80::1%Eth0", 554)),
        ("https://bücher.example/", Target("https", "xn--bcher-kva.example")),
        ("rtsp://Камера.рф/", Target("rtsp", "xn--80aaoslz.xn--p1ai")),
        # Cyrillic: another name, and not below zoom.us.
        ("https://z\u043e\u043em.us/", Target("https", "xn--zm-fmca.us")),
    ],
)  # fmt: skip
def test_where_a_url_leads(url: str, target: Target) -> None:
    assert target_of(url, ("http", "https", "rtsp")) == target


UNCLEAR = [
    # A backslash ends the host for one, and is part of it for another.
    r"https://evil.example\.zoom.us/", r"https://evil.example\@zoom.us/", r"https:\\zoom.us/",
    r"https:/\zoom.us/", r"https://zoom.us\.evil.example/", r"https://zoom.us\/evil.example",
    # Who comes before the @, and which of several counts.
    "https://zoom.us@evil.example/", "https://a:b@zoom.us/", "https://zoom.us:443@evil.example",
    "https://a@b@zoom.us/", "https://@zoom.us/", "https://zoom.us%40evil.example/",
    # White space and control characters, which one leaves out and another does not.
    "https://zoom.us /", " https://zoom.us/", "https://zoom.us/\n", "https://evil.example\t.zoom.us/",
    "https://zoom.us\r\nHost: evil/", "https://zoom.us\x00.evil.example/", "https://zo\xadom.us/",
    "https://zoom.us\u2028/", "https://zoom.us\u202e/", "https://zoom.us/\ud800", "ht\ntps://zoom.us/",
    # IPv4 as inet_aton takes it, and almost.
    "http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://017700000001/", "http://0/",
    "http://127.0.0.01/", "http://127.0.0.1./", "http://0x7f.0.0.1/", "http://127.0.0.256/",
    "http://127.0.0.0.1/", "http://1.2.3/", "http://\u0661\u0662\u0667.0.0.1/", "http://①②⑦.0.0.1/",
    # IPv6, almost.
    "http://[::1/", "http://::1/", "http://[::1]x/", "http://[::1].zoom.us/", "http://[::ffff:127.1]/",
    "http://[127.0.0.1]/", "http://[2a00::1%eth0]/", "http://[v1.fe80::a]/", "http://[::1%25lo]/", "http://[]/",
    # Letters that stand for others, or that the two standards read differently.
    "https://zoom。us/", "https://zoom．us/", "https://ⓩoom.us/", "https://ｚoom.us/", "https://\u212Aoom.us/",
    "https://\u017foom.us/", "https://faß.de/", "https://zoom\u200d.us/", "https://\u2100.us/", "https://zo%6Fm.us/",
    "https://zoom.us%2f.evil.example/", "https://zoom%00.us/",
    # Ports and labels.
    "https://zoom.us:0/", "https://zoom.us:65536/", "https://zoom.us:443443/", "https://zoom.us:44:3/", "https://zoom.us:-1/",
    "https://zoom.us:+443/", "https://zoom.us:\u0664\u0664\u0663/", "https://zoom.us:http/", "https://zoom..us/", "https://.zoom.us/",
    "https://zoom.us../", f"https://{'a' * 64}.us/", f"https://{'a.' * 127}us/", "https://zoom.us,evil.example/", "https://zoom.us;x/",
    "https://zoom.us|x/", "https://zoom.us^x/", "https://{zoom}.us/", "https://zoom.us'x/", "https://zoom.us\"/", "https://*.us/",
    # No host, or no scheme of ours.
    "", "https://", "https:///zoom.us", "https:zoom.us", "https:/zoom.us", "//zoom.us/", "zoom.us", "/zoom.us", "https://?zoom.us",
    "https://#zoom.us", "ftp://zoom.us/", "file:///etc/passwd", "gopher://zoom.us/", "javascript://zoom.us/", "https ://zoom.us/",
]  # fmt: skip


@pytest.mark.parametrize("url", UNCLEAR, ids=ascii)
def test_what_programs_may_read_in_different_ways(url: str) -> None:
    with pytest.raises(Unclear):
        target_of(url)


PARTS = st.sampled_from(
    ["zoom", "us", "evil", ".", ".", "/", "\\", "@", ":", "443", "127", "1", "0x7f", "[", "]", "::1",
     "%", "%2f", "%40", "#", "?", " ", "\t", "\n", "。", "ⓩ", "é", "ß", "K", "-", "_", "..", "\xad", "й"]
)  # fmt: skip


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "http:/", "http:\\\\", "//"]),
    st.lists(PARTS, max_size=8).map("".join),
)
@example("https://", "evil.example\\.zoom.us/")
def test_all_parsers_read_what_is_clear_alike(begin: str, rest: str) -> None:
    url = begin + rest
    try:
        target = target_of(url)
    except Unclear:
        return
    prepared = requests.Request("GET", url).prepare().url
    assert prepared is not None
    for text in (url, prepared):
        split, parsed = urlsplit(text), parse_url(text)
        hosts = {(split.hostname or "").rstrip("."), (parsed.host or "").strip("[]").rstrip(".")}
        encoded = {host.encode("idna").decode() if not host.isascii() else host for host in hosts}
        assert encoded == {target.host}
        assert split.port == parsed.port == target.port


def test_what_is_shown_of_a_url_is_no_password() -> None:
    assert scheme_and_host("https://ann:hunter2@zoom.us/x?token=1") == "https://zoom.us"
    assert scheme_and_host("https://ann:hun@ter2@zo\nom.us") == "https://zo\\nom.us"
    assert scheme_and_host("hunter2") == "?" and len(scheme_and_host(f"https://{'x' * 999}")) == 100
