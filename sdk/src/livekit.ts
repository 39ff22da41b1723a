// In the bundle this stands for the pages' rtc/livekit.js, which fetches the client lazily: here it is there already.
import * as livekit from 'livekit-client'

export const loadLivekit = async (): Promise<typeof livekit> => livekit
