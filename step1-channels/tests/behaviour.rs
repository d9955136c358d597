//! What this step promises.

use testkit::{Chat, promises};

promises! {
    Chat::new(1, env!("CARGO_BIN_EXE_step1-channels")),
    shared: [
        each_line_is_echoed,
        full_channels_lose_no_line,
        exit_ends_the_program_while_stdin_is_open,
        long_lines_are_skipped_and_controls_replaced,
        an_unterminated_typed_line_is_an_error,
        a_closed_stdout_ends_the_program,
    ],
    alone: [
    ],
}
