"""Kind `drive`: a library in Google Drive that somebody else uploads to.

Begin with `source`.
"""
