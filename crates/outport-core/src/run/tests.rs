use super::*;

const STATES: [RunState; 5] =
    [RunState::Pending, RunState::Running, RunState::Success, RunState::Warning, RunState::Error];
const EVENTS: [RunEvent; 5] = [
    RunEvent::Started,
    RunEvent::Succeeded { warnings: 0 },
    RunEvent::Succeeded { warnings: 3 },
    RunEvent::Failed,
    RunEvent::Adopted,
];

/// Every step that is legal; all others must be refused.
const LEGAL: [(RunState, RunEvent, RunState); 7] = [
    (RunState::Pending, RunEvent::Started, RunState::Running),
    (RunState::Pending, RunEvent::Failed, RunState::Error),
    (RunState::Running, RunEvent::Succeeded { warnings: 0 }, RunState::Success),
    (RunState::Running, RunEvent::Succeeded { warnings: 3 }, RunState::Warning),
    (RunState::Running, RunEvent::Failed, RunState::Error),
    (RunState::Running, RunEvent::Adopted, RunState::Success),
    (RunState::Error, RunEvent::Adopted, RunState::Success),
];

#[test]
fn only_the_legal_steps_are_taken() {
    for state in STATES {
        for event in EVENTS {
            let expected = LEGAL.iter().find(|(s, e, _)| *s == state && *e == event).map(|(_, _, next)| *next);
            match (state.apply(&event), expected) {
                (Ok(next), Some(expected)) => assert_eq!(next, expected, "{state} {event:?}"),
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::State);
                    assert!(error.message().contains(state.name()), "{error}");
                }
                (found, expected) => panic!("{state} {event:?}: expected {expected:?}, found {found:?}"),
            }
        }
    }
}

#[test]
fn names_are_the_documented_ones() {
    for state in STATES {
        assert_eq!(state.name().parse::<RunState>().unwrap(), state);
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
    }
    assert_eq!("done".parse::<RunState>().unwrap_err().kind(), ErrorKind::State);
}
