"""From jobs to runs: processes under limits, on this machine or on a cluster."""
