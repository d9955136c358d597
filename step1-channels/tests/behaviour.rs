//! What this step promises.

use testkit::{Chat, promises};

promises! {
    Chat::new(1, env!("CARGO_BIN_EXE_step1-channels")),
    shared: [
        each_line_comes_back,
        more_lines_than_the_channels_hold,
        exit_ends_it_without_enter,
        odd_lines_are_safe,
        a_typed_flood_is_an_error,
        a_closed_screen_ends_it,
    ],
    alone: [
    ],
}
