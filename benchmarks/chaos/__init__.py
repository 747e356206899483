"""Kills Redis, replicas and workers at random while clients go on, and looks whether every promise was kept."""
