-- finish: end runs that a worker has executed.
--
-- Result, history, counters, leases and dependants in one step: there is no gap between a result and its
-- acknowledgement. The token fences: a worker that lost its lease ends nothing. A chord's part carries its outcome.
--
-- KEYS  1 the tenant's prefix
-- ARGV  six a run: 1 id  2 token  3 succeeded, failed, cancelled, dead or replaced  4 how long it ran, ms, '' if it never
--       started  5 result, '' for none  6 its part of a chord: 'place:id group outcome', '' for none
-- Writes run, leases, held, ended, runs, ledger, chord, queue, due; publishes done. Returns 1 or 0 (already) a run.
local function finish(keys, args)
    local P, t, answer, tally = keys[1], now(), {}, {}
    for i = 1, #args, 6 do
        local run = load_run(P, args[i])
        if not run or ENDED[run.state] or run.token ~= args[i + 1] then
            answer[#answer + 1] = 0
        else
            local fields = {}
            if args[i + 3] ~= '' then
                fields[1], fields[2] = 'started_at', int(t - tonumber(args[i + 3]))
            end
            if args[i + 4] ~= '' then
                fields[#fields + 1], fields[#fields + 2] = 'result', args[i + 4]
            end
            if args[i + 2] == 'replaced' then
                release(P, run)
                redis.call('HSET', run_key(P, run.id), 'state', 'replaced')
            else
                end_run(P, t, run, args[i + 2], fields, true)
                tell(tally, run.job, args[i + 2])
                if args[i + 5] ~= '' then
                    local place, group, outcome = string.match(args[i + 5], '^(%S+) (%S+) (.*)$')
                    add_part(P, t, group, place, outcome)
                end
            end
            answer[#answer + 1] = 1
        end
    end
    enter(P, t, tally)
    trim(P, t)
    return answer
end

redis.register_function{function_name = 'taglane_finish', callback = finish, flags = {'allow-oom'}}
