-- Forwards a study to cxr-edge once nothing of it has come for `StableAge` seconds.
--
-- Results come back into the same study, and make it stable once more: they are sent to cxr-edge
-- as well, which knows them and scores none. No file name and no shell command is made from what a
-- header says.

function OnStableStudy(studyId, tags, metadata)
  SendToModality(studyId, 'cxr-edge')
end
