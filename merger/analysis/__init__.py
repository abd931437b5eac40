"""What a screen shows and whether a sound is silent: samples, and what each is taken for.

Touches media files, through PyAV and OpenCV. Begin with `sampling`; `classify` decides.
"""
