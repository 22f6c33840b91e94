"""What reads every picture but the ordinary ones, in a process that may take only so much memory and time.

Reading order: sandbox (the worker's side), messages (what travels), process (the other side), limits (what a picture
may cost, by format), picture (encoded bytes to upright pixels); then the formats, most of them by pillow: png, gif,
webp, jpeg, bmp, tiff, avif, heic; colour, transparency, orientation.
"""
