"""Kind `rtsp`: a camera or an encoder, recorded here by a process of its own.

Begin with `source`, what the core asks; `child` is the process that records.
"""
