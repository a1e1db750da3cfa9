-- publish_in_shard: publications stay in the shard that has the channel's slot, as its keys do.
-- PUBLISH would cost every node of a Cluster.
--
-- Defines  PUBLISH

local PUBLISH = 'SPUBLISH'
