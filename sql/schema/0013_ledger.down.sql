DROP FUNCTION tidegauge.enter_requests(uuid[], smallint[], smallint[], text[], bigint[], bigint[], text[], interval);
