"""A model's versions changed again and again under load: what of it do requests notice?"""
