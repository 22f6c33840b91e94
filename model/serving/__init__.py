"""The worker on the queue: takes micro-batches, keeps its lease on them, settles them, and brings back what died.

Reading order: worker (the loop), lane (which queue is next), intake (forming a batch), settlement (ending jobs),
lease and recovery (crashes).
"""
