-- Forwards a study to cxr-edge once nothing of it has come for `StableAge` seconds.
--
-- Results come back into the same study, and make it stable once more: they are sent to cxr-edge
-- as well, which knows them and scores none. No file name and no shell command is made from what a
-- header says.

function OnStableStudy(studyId, tags, metadata)
  local instances = ParseJson(RestApiGet('/studies/' .. studyId .. '/instances'))
  for _, instance in ipairs(instances) do
    SendToModality(instance['ID'], 'cxr-edge')
  end
end
