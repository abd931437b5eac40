"""Words that a picture shows, read by two networks whose weights the package rapidocr carries.

Pictures in, lines out; touches no files but the weights. Begin with `reading`.
"""
