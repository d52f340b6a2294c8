-- finish: end runs that a worker has executed.
--
-- Result, history, counters, leases and dependants in one step: there is no gap between a result and its
-- acknowledgement. The token fences: a worker that lost its lease ends nothing. A chord's part carries its outcome.
-- What never started nobody has told to those who depend on it: a follow-up run does.
--
-- KEYS  1 the tenant's prefix
-- ARGV  six a run: 1 id  2 token  3 succeeded, failed, cancelled, dead or replaced  4 how long it ran, ms, '' if it
--       never started  5 result, '' for none  6 its part of a chord: 'place:id group outcome', '' for none,
--       '-' when it ended without its task: those who depend on it are still to be told
-- Writes run, leases, held, cancels, expiring, ended, dead, runs, ledger, job-ledger, chord, queue, due, aside;
-- publishes done. Returns 1 or 0 (already) a run.
local function finish_one(P, t, id, token, state, ran, result, part)
    local run = load_run(P, id)
    if not run or ENDED[run.state] or run.token ~= token then
        return 0
    end
    local fields = {}
    if ran ~= '' then
        local began = t - tonumber(ran)
        fields[1], fields[2] = 'started_at', int(began)
        book_attempt(run, began, t - began)
    end
    if result ~= '' then
        fields[#fields + 1], fields[#fields + 2] = 'result', result
    end
    if state == 'replaced' then -- of those that replace it the last may never come: the history takes it along
        release(P, run, true)
        if may_wait(P, t, run, 'cancelled as others replaced it') then
            redis.call('HSET', run_key(P, id), 'state', 'replaced')
            redis.call('ZADD', ended_key(P), int(t), id)
        end
        return 1
    end
    if state == 'cancelled' and run.cancel then
        fields[#fields + 1] = 'error'
        fields[#fields + 1] = (ran ~= '' and 'terminated: ' or 'cancelled before start: ') .. run.cancel
    end
    end_run(P, t, run, state, fields, ran ~= '' and part ~= '-')
    if part ~= '' and part ~= '-' then
        local place, group, outcome = string.match(part, '^(%S+) (%S+) (.*)$')
        add_part(P, t, group, place, outcome)
    end
    return 1
end

-- Call a step with portions of a list: Lua hands over some thousand values at most. A key that its tenant has made
-- something else of keeps nothing else from it.
local function in_portions(P, list, step)
    for first = 1, #list, MOST do
        try(P, nil, step, unpack(list, first, math.min(first + MOST - 1, #list)))
    end
end

-- Do what ends many runs, and strike out what they held together when it is done, also when it raises.
local function together(P, step)
    struck = {leases = {}, held = {}, ended = {}}
    local done, answer = pcall(step)
    local all = struck
    struck = nil
    for worker, ids in pairs(all.held) do
        in_portions(P, ids, function(...) redis.call('SREM', held_key(P, worker), ...) end)
    end
    in_portions(P, all.leases, function(...) free_slots(P, redis.call('ZREM', leases_key(P), ...)) end)
    in_portions(P, all.ended, function(...) redis.call('ZADD', ended_key(P), ...) end)
    if not done then
        error(answer, 0)
    end
end

local function finish(keys, args)
    local P, t, answer = keys[1], now(), {}
    together(P, function()
        for i = 1, #args, 6 do
            -- One run that can't be read must not lose the others: their worker would say the batch again for ever.
            answer[#answer + 1] = try(P, args[i], finish_one, P, t, args[i], args[i + 1], args[i + 2], args[i + 3],
                args[i + 4], args[i + 5]) or 0
        end
    end)
    trim(P, t, 100 + 2 * #answer)
    return answer
end

redis.register_function{function_name = 'taglane_finish', callback = booking(finish), flags = {'allow-oom'}}
