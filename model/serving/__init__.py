"""The worker on the queue: takes micro-batches, keeps its lease on them, settles them, and brings back what died.

Reading order: worker (the loop), priority_queues (which queue is next), batcher (forming a batch), claimed_job (one of
its jobs), batch_processor (what happens to it), settlement (starting and ending jobs), lease and recovery (crashes),
registration (who is at work).
"""
