-- wrk's script: METHOD BODY PATH..., the paths in turn; one line of JSON at the end.
local paths, at = {}, 0

function init(args)
    wrk.method = args[1]
    if args[2] ~= "" then
        wrk.body = args[2]
        wrk.headers["Content-Type"] = "application/json"
    end
    for i = 3, #args do
        paths[#paths + 1] = args[i]
    end
end

function request()
    at = at % #paths + 1
    return wrk.format(nil, paths[at])
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('\n{"requests":%d,"seconds":%.4f,"bytes":%d,"refused":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, e.status, e.connect + e.read + e.write + e.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
