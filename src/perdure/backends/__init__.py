"""Stores: what they promise (`protocol`), how a URL becomes one (`connect`), and one package each.

A store never sees workflow code, and the engine never sees a store.
"""
