-- publish: publications go to every node, and so to every subscriber of a deployment.
--
-- Defines  PUBLISH

local PUBLISH = 'PUBLISH'
