"""What a screen shows at every instant: pictures are decoded where packets tell of a change.

activity reads the packets, thumbs compares small pictures, savers finds what wanders, watch brings
them together for a stretch of a file, summary says what that means for a half hour.
"""
