"""One instant on both sides, by sound: the step of the analysis that listens and moves sources.

Touches the cache, and media files through readers. Begin with `step`.
"""
