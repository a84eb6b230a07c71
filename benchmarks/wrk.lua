-- Posts the requests of the file BENCH_BODIES (one JSON document a line) in turn, and prints what wrk measured as one JSON line.
-- The requests are formatted before the load starts: during it, the script only counts.
local requests = {}
local turn = 0

function init(args)
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(os.getenv("BENCH_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", nil, nil, line)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local e = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
