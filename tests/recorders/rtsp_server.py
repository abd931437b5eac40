"""A camera for tests: an RTSP server whose pictures and beeps are those of this very moment.

Run with the system's Python, which has GStreamer, and nothing else: `/usr/bin/python3 rtsp_server.py
--port 8554 --size 320x180`. Every picture carries the instant at which it was made, in the code of
recorders/testing/clock.py; every whole second beeps. It prints "ready" once it can be connected to.
"""

from __future__ import annotations

import argparse
import array
import math
import os
import socket
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

DAY_MS = 24 * 60 * 60 * 1000
SAMPLE_RATE = 16_000
BEEP_S = 0.1
SOUND_S = 0.02  # in one buffer

VIDEO = (
    "( appsrc name=video is-live=true format=time caps=video/x-raw,format=I420,width={width},"
    "height={height},framerate={rate}/1 ! {encoder} ! {payloader} name=pay0 pt=96"
)
ENCODERS = {
    "h264": (
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={key} bitrate={kbit}"
        " ! video/x-h264,profile=baseline ! h264parse",
        "rtph264pay config-interval=1",
    ),
    # Two pictures are shown before one that was sent before them.
    "bframes": (
        "x264enc speed-preset=ultrafast bframes=2 b-adapt=false cabac=false key-int-max={key}"
        " bitrate={kbit} rc-lookahead=0 sync-lookahead=0 sliced-threads=true"
        " ! video/x-h264,profile=main ! h264parse",
        "rtph264pay config-interval=1",
    ),
    "h265": (
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={key} bitrate={kbit} ! h265parse",
        "rtph265pay config-interval=1",
    ),
    "jpeg": ("jpegenc", "rtpjpegpay"),
}  # fmt: skip
ELEMENTS = ("x264enc", "x265enc", "jpegenc", "avenc_aac", "h264parse", "rtph264pay", "appsrc")
AUDIO = (
    " appsrc name=audio is-live=true format=time caps=audio/x-raw,format=S16LE,rate=16000,channels=1,"
    "layout=interleaved ! audioconvert ! avenc_aac bitrate=48000 ! aacparse ! rtpmp4gpay name={name} pt=97"
)


def coded(width: int, height: int, day_ms: int, source: int) -> bytes:
    """Return an I420 picture with the code of recorders/testing/clock.py."""
    value = day_ms << 3 | source
    value = value << 2 | ((value ^ value >> 7 ^ value >> 13 ^ value >> 20) % 3 + 1)
    band = height // 8
    rows = []
    for row in range(2):
        line = bytearray()
        for column in range(16):
            left, right = width * column // 16, width * (column + 1) // 16
            line += bytes([235 if value >> (row * 16 + column) & 1 else 16]) * (right - left)
        top, bottom = band * row // 2, band * (row + 1) // 2
        rows.append(bytes(line) * (bottom - top))
    luma = b"".join(rows) + bytes([90]) * (width * (height - band))
    return luma + bytes([128]) * (2 * ((width + 1) // 2) * ((height + 1) // 2))


def samples(start: float, pitch_hz: float) -> bytes:
    """Return the sound of a fiftieth of a second: beeps at each whole second of the wall clock."""
    made = array.array("h")
    for n in range(int(SAMPLE_RATE * SOUND_S)):
        t = start + n / SAMPLE_RATE
        beeps = t % 1 < BEEP_S
        made.append(int(16000 * math.sin(2 * math.pi * pitch_hz * (t % 1))) if beeps else 0)
    return made.tobytes()


class Feed(threading.Thread):
    """Pushes pictures, or sound, into a pipeline as the wall clock goes on."""

    def __init__(self, source, step_s: float, make, is_wrong: bool) -> None:
        super().__init__(daemon=True)
        self.is_wrong = is_wrong
        self.source, self.step_s, self.make = source, step_s, make

    def run(self) -> None:
        while self.source.get_clock() is None or not self.source.get_base_time():
            time.sleep(0.002)
        set_clock(self.source.get_parent(), is_wrong=self.is_wrong)
        running_ns = self.source.get_clock().get_time() - self.source.get_base_time()
        begun = time.time()
        n = 0
        while True:
            at = begun + n * self.step_s
            time.sleep(max(0.0, at - time.time()))
            if at < time.time() - 1:  # it was stopped for a while: what was missed is not shown
                n = int((time.time() - begun) / self.step_s) + 1
                continue
            buffer = Gst.Buffer.new_wrapped(self.make(at))
            buffer.pts = running_ns + int(n * self.step_s * 1e9)
            buffer.duration = int(self.step_s * 1e9)
            if self.source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            n += 1


def set_clock(element, *, is_wrong: bool) -> None:
    """Have sender reports tell when pictures were taken, not when they were sent; or get it wrong."""
    pipeline = element.get_parent()
    found = pipeline.iterate_elements()
    while True:
        result, child = found.next()
        if result != Gst.IteratorResult.OK:
            return
        if child.get_factory().get_name() == "rtpbin":
            child.set_property("rtcp-sync-send-time", False)
            if is_wrong:  # that of the pipeline: since the machine was started
                child.set_property("ntp-time-source", "clock-time")


class Factory(GstRtspServer.RTSPMediaFactory):
    """Makes the one pipeline that all clients share."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.options = options
        self.set_shared(True)
        self.set_enable_rtcp(not options.mute_rtcp)

    def do_create_element(self, url):
        o = self.options
        width, height = map(int, o.size.split("x"))
        parts = []
        if o.codec != "none":
            encoder, payloader = ENCODERS[o.codec]
            parts.append(
                VIDEO.format(
                    width=width, height=height, rate=o.rate, payloader=payloader,
                    encoder=encoder.format(key=o.rate * o.key_s, kbit=o.kbit),
                )
            )  # fmt: skip
        if o.pitch:
            parts.append(AUDIO.format(name=f"pay{len(parts)}"))
        if not parts[0].startswith("("):
            parts[0] = "(" + parts[0]
        return Gst.parse_launch(" ".join(parts) + " )")

    def do_configure(self, media) -> None:
        o, element = self.options, media.get_element()
        width, height = map(int, o.size.split("x"))
        video, audio = element.get_by_name("video"), element.get_by_name("audio")

        def picture(at: float) -> bytes:
            made = coded(width, height, round(at * 1000) % DAY_MS, o.source)
            from_row, rows = height // 2, o.noise
            before, after = made[: from_row * width], made[(from_row + rows) * width :]
            return before + os.urandom(rows * width) + after if rows else made

        if video is not None:
            Feed(video, 1 / o.rate, picture, o.wrong_clock).start()
        if audio is not None:
            Feed(audio, SOUND_S, lambda at: samples(at, o.pitch), o.wrong_clock).start()


def main() -> None:
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--port", type=int, default=8554)
    add("--check", action="store_true", help="only whether all that this needs is installed")
    add("--size", default="320x180")
    add("--rate", type=int, default=25)
    add("--codec", default="h264", choices=[*ENCODERS, "none"])
    add("--key-s", type=int, default=1, help="seconds from one key frame to the next")
    add("--kbit", type=int, default=500)
    add("--pitch", type=float, default=440.0, help="0: no sound")
    add("--source", type=int, default=1)
    add("--noise", type=int, default=0, help="rows of the picture that no encoder makes small")
    add("--user", default="")
    add("--password", default="")
    add("--certificate", default="", help="a PEM file with its key: speak TLS")
    add("--mute-rtcp", action="store_true", help="send no sender reports: a camera without NTP")
    add("--wrong-clock", action="store_true", help="send reports of a clock that was never set")
    options = parser.parse_args()
    Gst.init(None)
    if options.check:
        has_all = all(Gst.ElementFactory.find(name) for name in ELEMENTS)
        sys.exit(0 if has_all and Gio.TlsBackend.get_default().supports_tls() else 1)
    with socket.socket() as probe:  # attach() does not say that a port is taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", options.port))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    factory = Factory(options)
    if options.user:
        auth = GstRtspServer.RTSPAuth()
        if options.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.new_from_string(
                "viewer, media.factory.access=true, media.factory.construct=true"
            )
        )
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
