"""The core: from a request until one right video is delivered.

Folders stand in layers, and import only from those below: `timeline` decides what is shown when
(pure), `render` turns a library into a video, `records` and `worker` carry a record through its
life, `daemon` and `web` are the ways in. The contracts are in `pyproject.toml`. Nothing here knows
`recorders/` or `google_apis/`: what is needed of them stands in `ports`.
"""
