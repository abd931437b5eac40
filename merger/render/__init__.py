"""A library becomes an MP4: presence, plan, parts, sound, join, check.

Touches files and starts ffmpeg (`ffmpeg` alone does). Begin with `merge`, the whole way in a page;
`renderer` is the way from a plan to checked files, `encoding` what of it the cache lacks, `steps`
and `sound_step` what can be repeated, `filtergraph` and `soundgraph` the commands.
"""
