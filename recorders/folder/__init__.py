"""Kind `folder`: a library that somebody else uploads to, such as a network share.

Begin with `source`. The kind `rtsp` finds its own recordings through `library`, too.
"""
