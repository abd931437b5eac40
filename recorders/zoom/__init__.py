"""Kind `zoom`: recordings of meetings in Zoom's cloud.

Touches Zoom's API. Begin with `source`.
"""
