"""Every published method beside ours, on the same data: a pipeline of its own."""
