"""A library becomes an MP4: presence, plan, parts, sound, join, check.

Touches files and starts ffmpeg (`ffmpeg` alone does). Begin with `merge`, the whole way in a page;
`renderer` is the way from a plan to checked files, `steps` the ones that can be repeated.
"""
