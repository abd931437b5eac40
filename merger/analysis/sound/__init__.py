"""What is wrong with a sound, though it is never changed for it: hum, and loud places cut off."""
