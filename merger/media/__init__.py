"""Media files as they are: every packet indexed, files placed on the clock, damage found.

Touches files, through PyAV (`container` opens them). Begin with `library`; `index` reads a file,
`sidecar` what its recorder wrote beside it.
"""
