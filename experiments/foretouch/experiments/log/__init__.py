"""From a workspace's decision log and events to the table that is analysed."""
