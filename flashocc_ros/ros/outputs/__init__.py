"""One file per output; each is a pure function from a result to a message.

Large arrays are filled from ``array.array`` buffers: assigning a numpy array or a list to a message field lets rclpy
check every element in Python, which costs hundreds of times more.
"""
