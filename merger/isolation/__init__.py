"""What must not harm us runs apart: processes of their own, for files that strangers wrote.

Begin with `reader`; `confinement` says what such processes may do.
"""
